import type { Clock } from '@naru/foundation';

/** Younger answers are given again: whoever asks how often, the node is measured once a second. */
const maxAgeMs = 1_000;

/** A measurement that several may ask for at the same time. */
export class Latest<T> {
  private last: { atMs: number; value: Promise<T> } | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly measure: () => Promise<T>,
  ) {}

  /** At most a second old. */
  get(): Promise<T> {
    return this.last && this.clock.now() - this.last.atMs < maxAgeMs ? this.last.value : this.fresh();
  }

  /** Of now: whoever acts on it must not act twice on the same want. */
  fresh(): Promise<T> {
    const value = this.measure();
    this.last = { atMs: this.clock.now(), value };
    value.catch(() => (this.last = undefined));
    return value;
  }
}
