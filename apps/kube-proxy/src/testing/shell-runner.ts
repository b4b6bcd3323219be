import { spawn, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { CommandError, type CommandRunner } from '../command';

export interface ShellRunnerOptions {
  /** Put before the shell, for example `ip netns exec NAME`. */
  prefix?: readonly string[];
  /** For input and output of the programs. */
  dir: string;
  /** A program that takes longer has failed. */
  timeoutMs: number;
}

const quoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;

/**
 * Runs programs as `commandRunner` does, but from one small shell that stays: to duplicate a process of Node's size for each of them
 * takes several times longer than all that most of them do, in an emulated kernel above all.
 */
export class ShellRunner {
  private readonly shell: ChildProcess;
  private readonly waiting = new Map<string, (code: number | undefined) => void>();
  private commands = 0;

  constructor(private readonly options: ShellRunnerOptions) {
    const [program = '', ...args] = [...(options.prefix ?? []), 'sh'];
    const PATH = `${process.env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin:/sbin`;
    this.shell = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'ignore'],
      env: { ...process.env, LC_ALL: 'C', PATH },
    });
    this.shell.stdin?.on('error', () => undefined);
    createInterface({ input: this.shell.stdout! }).on('line', line => {
      const [id = '', code] = line.split(' ');
      this.waiting.get(id)?.(Number(code));
    });
    this.shell.on('exit', () => {
      for (const settle of this.waiting.values()) settle(undefined);
    });
  }

  readonly run: CommandRunner = async (program, args, stdin = '') => {
    const id = `${this.commands++}`;
    const files = ['in', 'out', 'err'].map(kind => path.join(this.options.dir, `${this.shell.pid}-${id}.${kind}`));
    const [input = '', out = '', err = ''] = files;
    if (stdin !== '') fs.writeFileSync(input, stdin);
    const words = [program, ...args].map(quoted).join(' ');
    // In the background: another command does not wait for this one.
    const line = `{ ${words} <${stdin === '' ? '/dev/null' : input} >${out} 2>${err}; echo ${id} $?; } &\n`;
    try {
      const code = await this.send(id, line);
      if (code === 0) return fs.readFileSync(out, 'utf8');
      const said = fs.existsSync(err) ? fs.readFileSync(err, 'utf8').trim() : '';
      throw new CommandError(program, code, said || 'ended by itself');
    } finally {
      for (const file of files) fs.rmSync(file, { force: true });
    }
  };

  /** What still runs is left running. */
  close(): void {
    this.shell.stdin?.end();
  }

  private send(id: string, line: string): Promise<number | undefined> {
    return new Promise(resolve => {
      const settle = (code: number | undefined): void => {
        clearTimeout(timer);
        this.waiting.delete(id);
        resolve(code);
      };
      const timer = setTimeout(() => settle(undefined), this.options.timeoutMs);
      this.waiting.set(id, settle);
      if (this.shell.exitCode !== null || this.shell.signalCode !== null) settle(undefined);
      else this.shell.stdin?.write(line);
    });
  }
}
