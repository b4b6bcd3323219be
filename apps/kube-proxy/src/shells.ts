import { CommandError, type CommandRunner } from './command';
import { Shell } from './shell';

export interface ShellsOptions {
  /** Put before each shell, for example `ip netns exec NAME`. */
  prefix?: readonly string[];
  /** A program that takes longer is killed. */
  timeoutMs?: number;
  /** So many programs run at once; others wait. */
  limit?: number;
}

/**
 * Runs programs from small shells that stay. To start a program a process is duplicated first, and to duplicate one of Node's size, which
 * grows with the cluster, takes several times longer than what most programs do, in which time this process does nothing else.
 */
export class Shells {
  private readonly idle: Shell[] = [];
  private readonly waiting: (() => void)[] = [];
  private running = 0;
  private closed = false;

  constructor(private readonly options: ShellsOptions = {}) {}

  readonly run: CommandRunner = async (program, args, stdin) => {
    const { limit = 4 } = this.options;
    while (!this.closed && this.running >= limit) await new Promise<void>(resolve => this.waiting.push(resolve));
    if (this.closed) throw new CommandError(program, undefined, 'no more programs are run');
    const shell = this.take();
    this.running++;
    try {
      return await shell.run(program, args, stdin);
    } finally {
      this.running--;
      if (this.closed) shell.close();
      else if (!shell.ended) this.idle.push(shell);
      this.waiting.shift()?.();
    }
  };

  /** What still runs is left running, and what waits is refused. */
  close(): void {
    this.closed = true;
    for (const wake of this.waiting.splice(0)) wake();
    for (const shell of this.idle.splice(0)) shell.close();
  }

  private take(): Shell {
    for (;;) {
      const shell = this.idle.pop();
      if (!shell) break;
      if (!shell.ended) return shell;
    }
    const { prefix = [], timeoutMs = 60_000 } = this.options;
    return new Shell({ prefix, timeoutMs });
  }
}
