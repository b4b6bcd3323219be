import { spawn } from 'node:child_process';

/** A program ended with a failure, or could not be started. `stderr` is its own words, at most 4 KB. */
export class CommandError extends Error {
  constructor(
    readonly program: string,
    readonly exitCode: number | undefined,
    readonly stderr: string,
    options?: { cause: unknown },
  ) {
    super(`${program} failed${exitCode === undefined ? '' : ` with exit code ${exitCode}`}: ${stderr}`, options);
    this.name = 'CommandError';
  }

  /** True when the program is not installed. */
  get missing(): boolean {
    return (this.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
  }
}

/** Runs a program to its end with `stdin` as input and answers its standard output. Fails with CommandError. */
export type CommandRunner = (program: string, args: readonly string[], stdin?: string) => Promise<string>;

export interface CommandOptions {
  /** Put before every command, for example `ip netns exec NAME`. */
  prefix?: readonly string[];
  /** A program that takes longer is killed. */
  timeoutMs?: number;
}

const stderrLimit = 4096;
/** Listings of a large cluster's rules are tens of MB; more than this is a mistake. */
const stdoutLimit = 256 * 1024 * 1024;

export function commandRunner(options: CommandOptions = {}): CommandRunner {
  const { prefix = [], timeoutMs = 60_000 } = options;
  return (program, args, stdin) =>
    new Promise((resolve, reject) => {
      const argv = [...prefix, program, ...args];
      const child = spawn(argv[0] as string, argv.slice(1), {
        timeout: timeoutMs,
        killSignal: 'SIGKILL',
        // Messages are parsed in places (conntrack's counts): no translations.
        env: { ...process.env, LC_ALL: 'C', PATH: `${process.env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin:/sbin` },
      });
      const out: Buffer[] = [];
      let outBytes = 0;
      let stderr = '';
      child.stdout.on('data', (chunk: Buffer) => {
        outBytes += chunk.length;
        if (outBytes > stdoutLimit) child.kill('SIGKILL');
        else out.push(chunk);
      });
      child.stderr.on('data', (chunk: Buffer) => {
        if (stderr.length < stderrLimit) stderr += chunk.toString().slice(0, stderrLimit - stderr.length);
      });
      // A program that ends before it has read all its input breaks the pipe; its exit code says why.
      child.stdin.on('error', () => undefined);
      child.on('error', cause => reject(new CommandError(program, undefined, cause.message, { cause })));
      child.on('close', (code, signal) => {
        if (code === 0) resolve(Buffer.concat(out).toString());
        else reject(new CommandError(program, code ?? undefined, stderr.trim() || `ended by ${signal ?? 'itself'}`));
      });
      child.stdin.end(stdin ?? '');
    });
}
