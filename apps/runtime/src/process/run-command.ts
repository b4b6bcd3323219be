import { spawn, type SpawnOptions } from 'node:child_process';
import { text } from 'node:stream/consumers';
import type { Readable } from 'node:stream';
import { Spawner, type StepOptions, type StepsResult } from './spawner';
import type { Step } from './steps';

export interface CommandOptions extends StepOptions {
  /** In addition to our own. */
  env?: Readonly<Record<string, string>>;
  cwd?: string;
}

export type CommandResult = StepsResult;

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

/** What the spawner says of a command that it cannot start. */
const notFound = 127;

let spawner: Spawner | undefined;

/** From here on a small process starts commands in place of this one, and does steps. The function returned ends it. */
export function useSpawner(directory: string): () => void {
  const own = new Spawner(directory);
  spawner = own;
  return () => {
    if (spawner === own) spawner = undefined;
    own.close();
  };
}

/** Has a child of the spawner do steps; resolves however it ends. `name` is for messages. */
export async function trySteps(name: string, steps: readonly Step[], options: StepOptions = {}): Promise<StepsResult> {
  if (!spawner) throw new Error(`${name}: no spawner is there`);
  const result = await spawner.run(name, steps, { timeoutMs: defaultTimeoutMs, ...options });
  if (result.code === notFound && /: not found$/m.test(result.stderr)) throw new Error(result.stderr.trim());
  return result;
}

/** Has a child of the spawner do steps; throws CommandError when one has failed. */
export async function runSteps(name: string, steps: readonly Step[]): Promise<void> {
  const result = await trySteps(name, steps);
  if (result.code !== 0) throw new CommandError(name, result);
}

function stepsOf(file: string, args: readonly string[], { cwd, env = {} }: CommandOptions): Step[] {
  const before: Step[] = [
    ...(cwd === undefined ? [] : [['chdir', cwd] as const]),
    ...Object.entries(env).map(([name, value]) => ['env', name, value] as const),
  ];
  return [...before, ['exec', file, ...args]];
}

/** Runs a command to its end; resolves whatever its exit code. Rejects when it cannot start or is too slow. */
export async function tryCommand(file: string, args: string[], options: CommandOptions = {}): Promise<CommandResult> {
  if (spawner) return trySteps(file, stepsOf(file, args, options), options);
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
