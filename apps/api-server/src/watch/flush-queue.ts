/** So many watches are written to before other work gets its turn: at 10 to 20 µs each. */
const perTurn = 16;

/**
 * The watches that have something to write. One event may concern thousands: what is asked in the meantime, such as the
 * next write, need not wait for all of them.
 */
class FlushQueue {
  private waiting: (() => void)[] = [];
  private at = 0;
  private scheduled = false;

  add(flush: () => void): void {
    this.waiting.push(flush);
    this.schedule();
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(() => this.turn());
  }

  private turn(): void {
    this.scheduled = false;
    const end = Math.min(this.at + perTurn, this.waiting.length);
    while (this.at < end) this.waiting[this.at++]!();
    if (this.at < this.waiting.length) return this.schedule();
    this.waiting = [];
    this.at = 0;
  }
}

export const flushQueue = new FlushQueue();
