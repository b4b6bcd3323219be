import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import type { OciRuntime } from '../oci/oci-runtime';
import { readPidFile } from '../oci/conmon';
import { terminalRelay } from '../oci/terminal-relay';
import { OutputProgress } from '../process/drain';
import { signalProcess } from '../process/process-identity';
import type { OciProcess } from '../spec/oci-types';
import { clampOomScore } from '../spec/resources';
import type { ContainerRecord } from './container-record';

/** A command in a container: what is to be run on this machine for it. */
export interface PreparedExec {
  /** The OCI runtime; a terminal relay when the command is to have a terminal. */
  program: string;
  args: string[];
  /** Why the command never ran, in the OCI runtime's words; undefined when it did. For after the end. */
  failure(): string | undefined;
  /** Kills the command itself: killing the OCI runtime's own process would leave it running. False when it has not begun, or has ended. */
  kill(): boolean;
  /** Deletes the files that the call needed. */
  dispose(): void;
}

const execDirectory = (state: string): string => path.resolve(state, 'execs');

/** Deletes what a process that was killed has left of its calls. */
export function forgetExecs(state: string): void {
  fs.rmSync(execDirectory(state), { recursive: true, force: true });
}

/** Prepares a command with the container's own environment, user, capabilities and directory. */
export function prepareExec(
  runtime: OciRuntime,
  state: string,
  record: ContainerRecord,
  command: readonly string[],
  terminal: boolean,
): PreparedExec {
  const directory = execDirectory(state);
  fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
  const name = randomBytes(12).toString('hex');
  const base = path.join(directory, name);
  const processFile = `${base}.json`;
  const pidFile = `${base}.pid`;
  const logFile = `${base}.log`;
  const env =
    terminal && !record.process.env.some(entry => entry.startsWith('TERM='))
      ? [...record.process.env, 'TERM=xterm']
      : record.process.env;
  const process: OciProcess = {
    ...record.process,
    args: [...command],
    terminal,
    env,
    oomScoreAdj: clampOomScore(record.process.oomScoreAdj ?? 0),
  };
  fs.writeFileSync(processFile, JSON.stringify(process), { mode: 0o600 });
  const args = (flags: readonly string[]): string[] => [
    ...[...runtime.globalArguments, '--log', logFile, '--log-format', 'json'],
    ...['exec', '--process', processFile, '--pid-file', pidFile, ...flags, record.id],
  ];
  const relay = { directory, name: `${name}.sock`, pidFile };
  return {
    ...(terminal
      ? terminalRelay({ ...relay, command: flags => [runtime.program, ...args(flags)] })
      : { program: runtime.program, args: args([]) }),
    failure: () => lastError(logFile),
    kill() {
      const identity = readPidFile(pidFile);
      return identity !== undefined && signalProcess(identity, 'SIGKILL');
    },
    dispose() {
      fs.rmSync(processFile, { force: true });
      fs.rmSync(pidFile, { force: true });
      fs.rmSync(logFile, { force: true });
    },
  };
}

/** The last error that an OCI runtime has written to its log. */
function lastError(logFile: string): string | undefined {
  const lines = fs.existsSync(logFile) ? fs.readFileSync(logFile, 'utf8').trim().split('\n') : [];
  for (const line of lines.reverse()) {
    try {
      const { level, msg } = JSON.parse(line) as { level?: string; msg?: string };
      if (level === 'error' && msg) return msg;
    } catch {
      // A line that is cut short.
    }
  }
  return undefined;
}

export interface ExecResult {
  stdout: Buffer;
  stderr: Buffer;
  exitCode: number;
}

/** Raised when a command is not done in time. */
export class ExecTimeoutError extends Error {}

/** The protocol's limit for each output; what is beyond it is dropped while the command goes on. */
const outputLimitBytes = 16 << 20;

class BoundedOutput {
  readonly #chunks: Buffer[] = [];
  #size = 0;

  async take(source: AsyncIterable<Buffer>): Promise<void> {
    for await (const chunk of source) {
      const kept = chunk.subarray(0, Math.max(0, outputLimitBytes - this.#size));
      if (kept.length > 0) this.#chunks.push(kept);
      this.#size += kept.length;
    }
  }

  content(): Buffer {
    return Buffer.concat(this.#chunks);
  }
}

/** Exit code of a child as a shell states it. */
export function exitCodeOf(code: number | null, signal: NodeJS.Signals | null): number {
  return code ?? (signal === 'SIGKILL' ? 137 : 255);
}

const killIntervalMs = 20;
/** How long an OCI runtime may take to start a command that is to be killed. */
const startPatienceMs = 30_000;

/**
 * Kills a command as soon as there is one: the OCI runtime may be about to start it, and without the OCI runtime nobody would tell of it any
 * more. That ends by itself then; when it does neither, it is killed.
 */
export function killSoon(prepared: PreparedExec, child: ChildProcess): void {
  // It could not be spawned, and will never tell of its end.
  if (child.pid === undefined) return;
  // Once: afterwards its number may be another's.
  const again = prepared.kill()
    ? undefined
    : setInterval(() => prepared.kill() && clearInterval(again), killIntervalMs);
  const giveUp = setTimeout(() => child.kill('SIGKILL'), startPatienceMs);
  child.once('exit', () => {
    clearInterval(again);
    clearTimeout(giveUp);
  });
}

/** Runs a command to its end. Throws ExecTimeoutError after `timeoutMs`, and kills the command; 0 means no limit. */
export async function execSync(prepared: PreparedExec, timeoutMs: number): Promise<ExecResult> {
  const child = spawn(prepared.program, prepared.args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const stdout = new BoundedOutput();
  const stderr = new BoundedOutput();
  const progress = new OutputProgress();
  const closed = Promise.allSettled([
    stdout.take(progress.count(child.stdout)),
    stderr.take(progress.count(child.stderr)),
  ]);
  let late = false;
  const timer =
    timeoutMs > 0
      ? setTimeout(() => {
          late = true;
          killSoon(prepared, child);
        }, timeoutMs)
      : undefined;
  try {
    const exitCode = await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) => resolve(exitCodeOf(code, signal)));
    }).finally(() => clearTimeout(timer)); // its number may be another's by now
    if (!late) await progress.drained(closed);
    if (late) throw new ExecTimeoutError(`command timed out after ${timeoutMs} ms`);
    return { stdout: stdout.content(), stderr: stderr.content(), exitCode };
  } finally {
    child.stdout.destroy();
    child.stderr.destroy();
    prepared.dispose();
  }
}
