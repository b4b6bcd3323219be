import type { TerminalSize } from '@naru/streaming';
import { tryCommand } from '../process/run-command';
import type { PreparedExec } from '../containers/exec';

const retryMs = 10;
const maxTries = 500;

/**
 * Sets the size of a command's terminal. runc hands on the size of its own terminal, crun does not; so the size is set on the terminal
 * itself, through the command's standard input. Only the latest size counts, and one is set at a time.
 */
export class TerminalResizer {
  #wanted: TerminalSize | undefined;
  #working = false;

  constructor(private readonly prepared: PreparedExec) {}

  resize(size: TerminalSize): void {
    this.#wanted = size;
    if (this.#working) return;
    this.#working = true;
    // A size that cannot be set is no reason to end the command.
    this.#work().catch(() => undefined);
  }

  async #work(): Promise<void> {
    try {
      for (let tries = 0; this.#wanted && tries < maxTries; tries++) {
        const { width, height } = this.#wanted;
        const pid = this.prepared.pid();
        if (pid === undefined) {
          await new Promise(resolve => setTimeout(resolve, retryMs)); // the client tells its size before the command runs
          continue;
        }
        this.#wanted = undefined;
        await tryCommand('stty', ['-F', `/proc/${pid}/fd/0`, 'rows', String(height), 'cols', String(width)], {
          timeoutMs: 5_000,
        });
      }
    } finally {
      this.#working = false;
    }
  }
}
