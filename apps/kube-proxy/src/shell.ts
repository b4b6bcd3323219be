import { randomBytes } from 'node:crypto';
import { spawn, type ChildProcess } from 'node:child_process';
import { CommandError } from './command';
import { MarkedOutput } from './marked-output';

export interface ShellOptions {
  /** Put before the shell, for example `ip netns exec NAME`. */
  prefix?: readonly string[];
  /** A program that takes longer is killed, and the shell with it. */
  timeoutMs: number;
}

interface Run {
  readonly program: string;
  readonly stdout: MarkedOutput;
  readonly stderr: MarkedOutput;
  readonly timer: NodeJS.Timeout;
  readonly settle: (outcome: string | CommandError) => void;
}

/** In characters. Listings of a large cluster's rules are tens of MB; more than this is a mistake. */
const stdoutLimit = 256 * 1024 * 1024;
const stderrLimit = 4096;

const quoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;

/** One process of the system's shell that stays and runs one program at a time. */
export class Shell {
  private readonly child: ChildProcess;
  private readonly nonce = randomBytes(12).toString('hex');
  private runs = 0;
  private current: Run | undefined;
  private hasEnded = false;
  /** Why it was killed. */
  private fault: string | undefined;

  constructor(private readonly options: ShellOptions) {
    const [program = '', ...args] = [...(options.prefix ?? []), 'sh'];
    // Messages are parsed in places (conntrack's counts): no translations.
    const env = { ...process.env, LC_ALL: 'C', PATH: `${process.env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin:/sbin` };
    // A process group of its own, so that what it runs can be killed with it.
    this.child = spawn(program, args, { env, detached: true });
    // First: one that could not be started for want of file descriptors has no streams.
    this.child.on('error', cause => this.end(cause.message, cause));
    const { stdin, stdout, stderr } = this.child;
    // A shell that ends before it has read all breaks the pipe; its end is told by itself.
    stdin?.on('error', () => undefined);
    stdout?.setEncoding('utf8').on('data', (text: string) => this.hear('stdout', text));
    stderr?.setEncoding('utf8').on('data', (text: string) => this.hear('stderr', text));
    // Not before what it ran has ended too, which may have outlived it.
    this.child.on('close', () => this.end('the shell that ran it has ended'));
  }

  /** It runs nothing any more. */
  get ended(): boolean {
    return this.hasEnded;
  }

  /** As CommandRunner; one at a time. */
  run(program: string, args: readonly string[], stdin = ''): Promise<string> {
    return new Promise((resolve, reject) => {
      const mark = `${this.nonce}-${++this.runs}`;
      const { timeoutMs } = this.options;
      this.current = {
        program,
        stdout: new MarkedOutput(mark, stdoutLimit),
        stderr: new MarkedOutput(mark, stderrLimit),
        timer: setTimeout(() => this.kill(`it took longer than ${timeoutMs} ms`), timeoutMs),
        settle: outcome => (typeof outcome === 'string' ? resolve(outcome) : reject(outcome)),
      };
      if (this.hasEnded) this.end('the shell that was to run it has ended');
      else this.child.stdin?.write(scriptOf([program, ...args], stdin, mark));
    });
  }

  /** It ends after what it runs now. */
  close(): void {
    this.child.stdin?.end();
  }

  private hear(stream: 'stdout' | 'stderr', text: string): void {
    const { current } = this;
    if (!current) return;
    current[stream].add(text);
    const { stdout, stderr, program } = current;
    if (stdout.isTooLong) this.kill(`it printed more than ${stdoutLimit} characters`);
    if (stdout.exitCode === undefined || stderr.exitCode === undefined) return;
    const failure = (): CommandError =>
      new CommandError(program, stdout.exitCode, stderr.text.trim() || 'ended by itself');
    this.settle(stdout.exitCode === 0 ? stdout.text : failure());
  }

  private settle(outcome: string | CommandError): void {
    const { current } = this;
    if (!current) return;
    this.current = undefined;
    clearTimeout(current.timer);
    current.settle(outcome);
  }

  private kill(fault: string): void {
    this.fault ??= fault;
    const { pid } = this.child;
    try {
      if (pid !== undefined) process.kill(-pid, 'SIGKILL');
    } catch {
      // All of it has ended by itself.
    }
  }

  private end(why: string, cause?: unknown): void {
    this.hasEnded = true;
    const { current } = this;
    if (!current) return;
    const words = [this.fault ?? why, current.stderr.text.trim()].filter(Boolean).join(': ');
    this.settle(new CommandError(current.program, undefined, words, { cause }));
  }
}

/**
 * Runs the words with the input, then tells of the end on both streams. In braces: the shell runs what is in them only when it has read
 * all, so that of an input that is cut off nothing is taken.
 */
export function scriptOf(words: readonly string[], stdin: string, mark: string): string {
  const command = words.map(quoted).join(' ');
  const lines = stdin === '' || stdin.endsWith('\n') ? stdin : `${stdin}\n`;
  const body = lines === '' ? `${command} </dev/null` : `${command} <<'${mark}'\n${lines}${mark}`;
  return `{\n${body}\n}; code=$?; printf '${mark} %03d\\n' $code; printf '${mark} %03d\\n' $code >&2\n`;
}
