/** Delays that double with each failure of a key and are forgotten after a quiet time. Holds at most `maxKeys`. */
export class BackOff {
  private readonly entries = new Map<string, { delayMs: number; until: number }>();

  constructor(private readonly options: { baseMs: number; maxMs: number; maxKeys?: number }) {}

  /** 0: go ahead, and the next delay of the key has begun. Else how long to wait still. */
  next(key: string, now: number): number {
    const { baseMs, maxMs, maxKeys = 10_000 } = this.options;
    const known = this.entries.get(key);
    if (known && now < known.until) return known.until - now;
    const fresh = !known || now - known.until > 2 * maxMs;
    const delayMs = fresh ? baseMs : Math.min(known.delayMs * 2, maxMs);
    this.entries.delete(key);
    if (this.entries.size >= maxKeys) this.entries.delete(this.entries.keys().next().value as string);
    this.entries.set(key, { delayMs, until: now + delayMs });
    return 0;
  }
}
