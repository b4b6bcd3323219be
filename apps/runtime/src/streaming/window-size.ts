import type { TerminalSize } from '@naru/streaming';

/** conmon 2.1 reads its control FIFO once a wake-up and loses what another writer adds before it has opened it again. */
const spacingMs = 50;

/** Hands sizes on one at a time, with room between them. Of those that come meanwhile only the latest counts. */
export class SpacedSizes {
  #wanted: TerminalSize | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly apply: (size: TerminalSize) => void) {}

  set(size: TerminalSize): void {
    this.#wanted = size;
    if (!this.#timer) this.#next();
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #next(): void {
    const size = this.#wanted;
    this.#wanted = undefined;
    this.#timer = size && setTimeout(() => this.#next(), spacingMs);
    if (size) this.apply(size);
  }
}
