import { spawn, type SpawnOptions } from 'node:child_process';
import { text } from 'node:stream/consumers';
import type { Readable } from 'node:stream';
import { CommandShell } from './command-shell';

export interface CommandOptions {
  /** Milliseconds until SIGKILL. */
  timeoutMs?: number;
  /** Written to standard input, which is empty otherwise. */
  input?: string;
  /** In addition to our own. */
  env?: Readonly<Record<string, string>>;
  cwd?: string;
  /** Outputs go nowhere: for a command that leaves a process behind. */
  discardOutput?: boolean;
}

export interface CommandResult {
  /** 128 + signal number when a signal ended it. */
  code: number;
  stdout: string;
  stderr: string;
}

/** A command that could not start or did not end with 0; the message carries what it wrote to standard error. */
export class CommandError extends Error {
  constructor(
    readonly command: string,
    readonly result: CommandResult,
  ) {
    super(`${command}: ${(result.stderr || result.stdout).trim() || `exit code ${result.code}`}`);
    this.name = 'CommandError';
  }
}

const defaultTimeoutMs = 60_000;
/** Tools print little; anything longer is cut off, so that a wild one cannot fill the memory. */
const outputLimitBytes = 1 << 20;

async function bounded(stream: Readable | null): Promise<string> {
  if (!stream) return '';
  let size = 0;
  const limited = async function* (): AsyncGenerator<Buffer> {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      if (size < outputLimitBytes) yield chunk.subarray(0, outputLimitBytes - size);
      size += chunk.length;
    }
  };
  return text(limited());
}

let shell: CommandShell | undefined;

/** From here on commands are started by a small process in place of this one. The function returned ends it. */
export function useCommandShell(directory: string): () => void {
  const own = new CommandShell(directory);
  shell = own;
  return () => {
    if (shell === own) shell = undefined;
    own.close();
  };
}

/** Runs a command to its end; resolves whatever its exit code. Rejects when it cannot start or is too slow. */
export async function tryCommand(file: string, args: string[], options: CommandOptions = {}): Promise<CommandResult> {
  if (shell) return shell.run(file, args, { timeoutMs: defaultTimeoutMs, ...options });
  const output = options.discardOutput ? 'ignore' : 'pipe';
  const spawnOptions: SpawnOptions = {
    stdio: [options.input === undefined ? 'ignore' : 'pipe', output, output],
    ...(options.env ? { env: { ...process.env, ...options.env } } : {}),
    ...(options.cwd ? { cwd: options.cwd } : {}),
  };
  const child = spawn(file, args, spawnOptions);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill('SIGKILL');
  }, options.timeoutMs ?? defaultTimeoutMs);
  const closed = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? (signal === 'SIGKILL' ? 137 : 128)));
  });
  try {
    if (options.input !== undefined) {
      child.stdin?.on('error', () => undefined); // EPIPE: the exit code tells more
      child.stdin?.end(options.input);
    }
    const [code, stdout, stderr] = await Promise.all([closed, bounded(child.stdout), bounded(child.stderr)]);
    if (late) throw new Error(`${file} did not end within ${options.timeoutMs ?? defaultTimeoutMs} ms`);
    return { code, stdout, stderr };
  } finally {
    clearTimeout(timer);
  }
}

/** Runs a command and returns its standard output; throws CommandError unless it ends with 0. */
export async function runCommand(file: string, args: string[], options: CommandOptions = {}): Promise<string> {
  const result = await tryCommand(file, args, options);
  if (result.code !== 0) throw new CommandError(file, result);
  return result.stdout;
}
