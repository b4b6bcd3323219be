import { setImmediate, setTimeout } from 'node:timers/promises';

/** What comes of a command's outputs. */
export class OutputProgress {
  #pieces = 0;
  #handingOn = 0;

  /** After the command has ended, `silenceMs` is how long its outputs may stay open in silence: a child in the background holds them. */
  constructor(private readonly silenceMs = 1_000) {}

  /** Hands `source` on and counts. */
  async *count(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const piece of source) {
      this.#handingOn++;
      yield piece; // until the next one is asked for
      this.#handingOn--;
      this.#pieces++;
    }
  }

  /**
   * For after the command's end. Resolves when `closed` does or when nothing comes any more; the time that whoever takes the output needs is
   * not silence.
   */
  async drained(closed: Promise<unknown>): Promise<void> {
    let isClosed = false;
    const done = closed.then(() => (isClosed = true));
    while (!isClosed) {
      const before = this.#pieces;
      const timer = new AbortController();
      await Promise.race([
        done,
        setTimeout(this.silenceMs, undefined, { signal: timer.signal }).catch(() => undefined),
      ]);
      timer.abort();
      // A process that got no time has not looked at its pipes: the event loop does before this resolves.
      await setImmediate();
      if (this.#handingOn === 0 && this.#pieces === before) return;
    }
  }
}
