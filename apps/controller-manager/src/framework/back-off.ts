import { BoundedMap } from '@naru/foundation';

/** Delays that double with each failure of a key and are forgotten after a quiet time. Holds at most `maxKeys`. */
export class BackOff {
  private readonly entries: BoundedMap<string, { delayMs: number; until: number }>;

  constructor(private readonly options: { baseMs: number; maxMs: number; maxKeys?: number }) {
    this.entries = new BoundedMap(options.maxKeys ?? 10_000);
  }

  /** 0: go ahead, and the next delay of the key has begun. Else how long to wait still. */
  next(key: string, now: number): number {
    const { baseMs, maxMs } = this.options;
    const known = this.entries.get(key);
    if (known && now < known.until) return known.until - now;
    const fresh = !known || now - known.until > 2 * maxMs;
    const delayMs = fresh ? baseMs : Math.min(known.delayMs * 2, maxMs);
    this.entries.set(key, { delayMs, until: now + delayMs });
    return 0;
  }
}
