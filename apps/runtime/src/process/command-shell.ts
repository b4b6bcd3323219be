import { spawn, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import type { CommandOptions, CommandResult } from './run-command';

/** Each line is a piece of script. `jobs` lets go of those that have ended, or they would stay as zombies. */
const loop = `nl='\n'
while IFS= read -r line; do eval "$line"; jobs >/dev/null; done`;

const outputLimitBytes = 1 << 20;
const notFound = 127;
/** How much later than its time a command may end that the shell has not begun yet. */
const shellPatienceMs = 30_000;

interface Running {
  slot: number;
  /** The command's pid, once the shell has told. */
  pid: number | undefined;
  /** Its time is over. */
  late: boolean;
  resolve: (result: CommandResult) => void;
  reject: (error: Error) => void;
}

/**
 * Starts commands on our behalf. To start a process the kernel copies the tables of the one that asks, which takes milliseconds for a large one
 * like ours, while nothing else gets done; for a shell of two megabytes it takes next to nothing. Outputs come by files on a tmpfs.
 *
 * A shell has its background commands ignore SIGINT and SIGQUIT: nothing that becomes a container may be started here.
 */
export class CommandShell {
  readonly #running = new Map<string, Running>();
  readonly #free: number[] = [];
  #slots = 0;
  #last = 0;
  #child: ChildProcess | undefined;
  #rest = '';

  /** `directory`, on a tmpfs, is for the commands' inputs and outputs; what an earlier process has left there is removed. */
  constructor(private readonly directory: string) {
    fs.rmSync(directory, { recursive: true, force: true });
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
  }

  /** Like `tryCommand`; additional variables only. */
  async run(file: string, args: readonly string[], options: CommandOptions): Promise<CommandResult> {
    const slot = this.#free.pop() ?? this.#slots++;
    const id = String(++this.#last);
    const timers: NodeJS.Timeout[] = [];
    try {
      const running = { slot, pid: undefined, late: false } as Running;
      const done = new Promise<CommandResult>((resolve, reject) => Object.assign(running, { resolve, reject }));
      this.#running.set(id, running);
      if (options.timeoutMs !== undefined) {
        const fail = (): void => running.reject(new Error('the command shell does not answer'));
        timers.push(
          setTimeout(() => end(running), options.timeoutMs),
          setTimeout(fail, options.timeoutMs + shellPatienceMs),
        );
      }
      const input = options.input === undefined ? '/dev/null' : this.#file(slot, 'in');
      if (options.input !== undefined) fs.writeFileSync(input, options.input, { mode: 0o600 });
      this.#shell().stdin?.write(this.#script(id, slot, input, file, args, options));
      const result = await done;
      if (running.late) throw new Error(`${file} did not end within ${options.timeoutMs} ms`);
      if (result.code === notFound && /not found/.test(result.stderr)) throw new Error(`${file}: not found`);
      return result;
    } finally {
      timers.forEach(clearTimeout);
      this.#running.delete(id);
      this.#free.push(slot);
      if (this.#running.size === 0) this.#idle(true);
    }
  }

  close(): void {
    this.#child?.stdin?.end();
    this.#child = undefined;
    fs.rmSync(this.directory, { recursive: true, force: true });
  }

  #file(slot: number, what: 'in' | 'out' | 'err'): string {
    return path.join(this.directory, `${slot}.${what}`);
  }

  #script(
    id: string,
    slot: number,
    input: string,
    file: string,
    args: readonly string[],
    options: CommandOptions,
  ): string {
    const [out, err] = options.discardOutput
      ? ['/dev/null', '/dev/null']
      : [quote(this.#file(slot, 'out')), quote(this.#file(slot, 'err'))];
    const before = [
      ...(options.cwd ? [`cd ${quote(options.cwd)}`] : []),
      ...Object.entries(options.env ?? {}).map(([name, value]) => `export ${name}=${quote(value ?? '')}`),
    ];
    const command = [file, ...args].map(quote).join(' ');
    const size = options.discardOutput ? '' : `if [ -s ${out} ] || [ -s ${err} ]; then s=1; fi; `;
    const work = `${before.map(each => `${each} && `).join('')}{ ${command} <${quote(input)} >${out} 2>${err} & echo "${id} p $!"; wait $!; }`;
    return `{ ${work}; c=$?; s=0; ${size}echo "${id} e $c $s"; } &\n`;
  }

  #shell(): ChildProcess {
    if (this.#child) {
      this.#idle(false);
      return this.#child;
    }
    const child = spawn('/bin/sh', ['-c', loop], { stdio: ['pipe', 'pipe', 'ignore'] });
    this.#rest = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#read(text));
    child.stdin?.on('error', () => undefined); // its end tells
    const ended = (): void => {
      if (this.#child === child) this.#child = undefined;
      for (const { reject } of this.#running.values()) reject(new Error('the command shell has ended'));
    };
    child.once('error', ended).once('exit', ended);
    this.#child = child;
    return child;
  }

  /** While nothing runs it keeps no process alive that has nothing else to do. */
  #idle(idle: boolean): void {
    const { child, in: input, out } = { child: this.#child, in: this.#child?.stdin, out: this.#child?.stdout };
    for (const each of [child, input, out] as ({ ref?: () => void; unref?: () => void } | null | undefined)[]) {
      if (idle) each?.unref?.();
      else each?.ref?.();
    }
  }

  #read(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      const [id = '', event, value, written] = line.split(' ');
      const running = this.#running.get(id);
      if (!running) continue;
      if (event === 'p') {
        running.pid = Number(value);
        if (running.late) end(running);
      } else running.resolve({ code: Number(value), ...this.#outputs(running.slot, written === '1') });
    }
  }

  #outputs(slot: number, written: boolean): { stdout: string; stderr: string } {
    if (!written) return { stdout: '', stderr: '' };
    return { stdout: readStart(this.#file(slot, 'out')), stderr: readStart(this.#file(slot, 'err')) };
  }
}

/** At once, or as soon as the shell says what to end. */
function end(running: Running): void {
  running.late = true;
  if (running.pid === undefined) return;
  try {
    process.kill(running.pid, 'SIGKILL');
  } catch {
    // It has just ended.
  }
}

/** As one word of a line. */
function quote(text: string): string {
  if (text.includes('\0')) throw new Error('an argument holds a NUL');
  return `'${text.replace(/'/g, "'\\''").replace(/\n/g, `'"$nl"'`)}'`;
}

function readStart(file: string): string {
  const handle = fs.openSync(file, 'r');
  try {
    const size = Math.min(fs.fstatSync(handle).size, outputLimitBytes);
    const buffer = Buffer.alloc(size);
    return buffer.toString('utf8', 0, fs.readSync(handle, buffer, 0, size, 0));
  } finally {
    fs.closeSync(handle);
  }
}
