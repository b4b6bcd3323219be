import { spawn, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { spawnerCommand } from './spawner-program';
import type { Step } from './steps';

const outputLimitBytes = 1 << 20;
/** How much later than its time something may end that has been killed. */
const killPatienceMs = 30_000;

export interface StepOptions {
  /** Milliseconds until SIGKILL. */
  timeoutMs?: number;
  /** Written to standard input, which is empty otherwise. */
  input?: string;
  /** Outputs go nowhere: for a command that leaves a process behind. */
  discardOutput?: boolean;
}

export interface StepsResult {
  /** 128 + signal number when a signal ended it; 1 when a step failed that is not a command. */
  code: number;
  stdout: string;
  stderr: string;
}

interface Running {
  slot: number;
  resolve: (result: StepsResult) => void;
  reject: (error: Error) => void;
}

/**
 * Starts commands and makes system calls on our behalf. To start a process the kernel copies the tables of the one that asks, which takes milliseconds
 * for a large one like ours, while nothing else gets done; for one of five megabytes it takes next to nothing. And what a child of that one can ask of the
 * kernel itself needs no program, whose loading takes longer than the work. Outputs come by files on a tmpfs. See docs/adr/0011.
 */
export class Spawner {
  readonly #running = new Map<string, Running>();
  readonly #free: number[] = [];
  #slots = 0;
  #last = 0;
  #child: ChildProcess | undefined;
  #rest = '';

  /** `directory`, on a tmpfs, is for inputs and outputs; what an earlier process has left there is removed. */
  constructor(private readonly directory: string) {
    fs.rmSync(directory, { recursive: true, force: true });
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
  }

  /** Has a process of its own do the steps. Resolves however it ends; rejects when it is too slow. `name` is for that message. */
  async run(name: string, steps: readonly Step[], options: StepOptions = {}): Promise<StepsResult> {
    const slot = this.#free.pop() ?? this.#slots++;
    const id = String(++this.#last);
    const timers: NodeJS.Timeout[] = [];
    let late = false;
    try {
      const done = new Promise<StepsResult>((resolve, reject) => {
        this.#running.set(id, { slot, resolve, reject });
        if (options.timeoutMs === undefined) return;
        const kill = (): void => {
          late = true;
          this.#child?.stdin?.write(request([id]));
        };
        const giveUp = (): void => reject(new Error(`${name} does not end`));
        timers.push(setTimeout(kill, options.timeoutMs), setTimeout(giveUp, options.timeoutMs + killPatienceMs));
      });
      const input = options.input === undefined ? '/dev/null' : this.#file(slot, 'in');
      if (options.input !== undefined) fs.writeFileSync(input, options.input, { mode: 0o600 });
      const outputs = options.discardOutput
        ? ['/dev/null', '/dev/null']
        : [this.#file(slot, 'out'), this.#file(slot, 'err')];
      const texts = steps.flatMap(step => [String(step.length), ...step]);
      this.#process().stdin?.write(request([id, input, ...outputs, ...texts]));
      const result = await done;
      if (late) throw new Error(`${name} did not end within ${options.timeoutMs} ms`);
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

  #process(): ChildProcess {
    if (this.#child) {
      this.#idle(false);
      return this.#child;
    }
    const [file, ...args] = spawnerCommand();
    const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#rest = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#read(text));
    child.stdin?.on('error', () => undefined); // its end tells
    const ended = (how: string): void => {
      if (this.#child === child) this.#child = undefined;
      for (const { reject } of this.#running.values()) reject(new Error(`the spawner has ended: ${how}`));
    };
    child.once('error', ({ message }) => ended(message)).once('exit', code => ended(`exit code ${code}`));
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
      const [id = '', code, written] = line.split(' ');
      const running = this.#running.get(id);
      running?.resolve({ code: Number(code), ...this.#outputs(running.slot, written === '1') });
    }
  }

  #outputs(slot: number, written: boolean): { stdout: string; stderr: string } {
    if (!written) return { stdout: '', stderr: '' };
    return { stdout: readStart(this.#file(slot, 'out')), stderr: readStart(this.#file(slot, 'err')) };
  }
}

/** Texts, each behind its length, behind the length of all. */
function request(texts: readonly string[]): Buffer {
  if (texts.some(text => text.includes('\0'))) throw new Error('an argument holds a NUL');
  const sizes = texts.map(text => Buffer.byteLength(text));
  const buffer = Buffer.allocUnsafe(sizes.reduce((sum, size) => sum + 4 + size, 4));
  let at = buffer.writeUInt32BE(buffer.length - 4);
  texts.forEach((text, index) => {
    at = buffer.writeUInt32BE(sizes[index] ?? 0, at);
    at += buffer.write(text, at);
  });
  return buffer;
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
