import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import type { Readable } from 'node:stream';
import { identify, type ProcessIdentity } from '../process/process-identity';
import type { OciRuntime } from './oci-runtime';

/** Everything conmon needs to look after one container. */
export interface ConmonRequest {
  id: string;
  name: string;
  bundle: string;
  /** The CRI log; empty for none. */
  logPath: string;
  exitDirectory: string;
  terminal: boolean;
  stdin: boolean;
  /** Standard input stays open when a client that was attached leaves. */
  leaveStdinOpen: boolean;
  /** systemd makes its cgroup. */
  systemdCgroup: boolean;
}

export interface ConmonProcesses {
  container: ProcessIdentity;
  conmon: ProcessIdentity | undefined;
}

const createTimeoutMs = 120_000;

/** The error that conmon hands on from the OCI runtime. */
export class CreateError extends Error {}

/**
 * Has conmon create a container: conmon runs the OCI runtime, keeps the container's stdio, writes its log and, when it ends, the file
 * EXIT_DIRECTORY/ID with its exit code. It is its own session and outlives this process. Resolves with the container's first process.
 */
export async function createWithConmon(
  program: string,
  runtime: OciRuntime,
  request: ConmonRequest,
): Promise<ConmonProcesses> {
  const pidFile = path.join(request.bundle, 'pid');
  const conmonPidFile = path.join(request.bundle, 'conmon.pid');
  const args = [
    ...['--cid', request.id, '--cuuid', request.id, '--name', request.name],
    ...['--bundle', request.bundle, '--persist-dir', request.bundle, '--exit-dir', request.exitDirectory],
    ...['--runtime', runtime.program],
    ...runtime.creationArguments(request.systemdCgroup).flatMap(argument => ['--runtime-arg', argument]),
    ...['--container-pidfile', pidFile, '--conmon-pidfile', conmonPidFile],
    ...['--log-path', request.logPath === '' ? 'off' : `k8s-file:${request.logPath}`, '--log-level', 'error'],
    ...['--full-attach', '--no-sync-log'],
    ...(request.terminal ? ['--terminal'] : []),
    ...(request.stdin ? ['--stdin'] : []),
    ...(request.leaveStdinOpen ? ['--leave-stdin-open'] : []),
  ];
  // conmon daemonises and hands the pid over by the pipe named in its environment.
  const child = spawn(program, args, {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    env: { ...process.env, _OCI_SYNCPIPE: '3' },
    detached: true,
  });
  const sync = child.stdio[3] as Readable;
  const said = text(child.stderr as Readable).catch(() => '');
  const timer = setTimeout(
    () => sync.destroy(new CreateError(`conmon did not answer within ${createTimeoutMs} ms`)),
    createTimeoutMs,
  );
  try {
    const started = new Promise<never>((_, reject) => child.once('error', reject));
    started.catch(() => undefined);
    const line = await Promise.race([firstLine(sync), started]);
    const { pid, message } = parseLine(line);
    if (pid === undefined || pid <= 0)
      throw new CreateError(message?.trim() || (await said).trim() || 'conmon ended without an answer');
    const container = identify(pid);
    // Gone already: its exit file will tell.
    return { container: container ?? { pid, startTicks: 'gone' }, conmon: readPidFile(conmonPidFile) };
  } finally {
    clearTimeout(timer);
    sync.destroy();
    child.stderr?.destroy();
  }
}

async function firstLine(stream: Readable): Promise<string> {
  let line = '';
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    line += chunk.toString('utf8');
    if (line.includes('\n')) break;
    if (line.length > 1 << 16) break;
  }
  return line;
}

function parseLine(line: string): { pid?: number; message?: string } {
  try {
    return JSON.parse(line) as { pid?: number; message?: string };
  } catch {
    return {};
  }
}

/** The process that a pid file names; undefined when it does not run. */
export function readPidFile(file: string): ProcessIdentity | undefined {
  try {
    return identify(Number(fs.readFileSync(file, 'utf8')));
  } catch {
    return undefined;
  }
}

/** Writes to conmon's control FIFO without ever waiting for a reader. Returns false when there is none. */
function control(bundle: string, message: string): boolean {
  try {
    const file = fs.openSync(path.join(bundle, 'ctl'), fs.constants.O_WRONLY | fs.constants.O_NONBLOCK);
    try {
      fs.writeSync(file, message);
    } finally {
      fs.closeSync(file);
    }
    return true;
  } catch {
    return false;
  }
}

/** Sets the window size of a container's terminal. */
export function resizeTerminal(bundle: string, size: { width: number; height: number }): boolean {
  const bounded = (value: number): number => Math.max(0, Math.min(1000, Math.trunc(value)));
  return control(bundle, `1 ${bounded(size.height)} ${bounded(size.width)}\n`);
}

/** Makes conmon close its log and open it anew, after rotation. Returns false when conmon does not run. */
export function reopenLog(bundle: string): boolean {
  return control(bundle, '2 0 0\n');
}
