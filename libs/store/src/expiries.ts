const sweepIntervalMs = 1_000;

interface Expiry {
  atMs: number;
  revision: number;
}

/** Keys that go by themselves, in stores that do not do that of their own accord. */
export class Expiries {
  private readonly byKey = new Map<string, Expiry>();
  private readonly timer: NodeJS.Timeout;

  /** `expire` deletes a key that was last written at `revision`. */
  constructor(private readonly expire: (key: string, revision: number) => Promise<unknown>) {
    this.timer = setInterval(() => this.sweep(), sweepIntervalMs);
    this.timer.unref();
  }

  has(key: string): boolean {
    return this.byKey.has(key);
  }

  set(key: string, expiry: Expiry): void {
    this.byKey.set(key, expiry);
  }

  delete(key: string): void {
    this.byKey.delete(key);
  }

  close(): void {
    clearInterval(this.timer);
  }

  private sweep(): void {
    const now = Date.now();
    for (const [key, { atMs, revision }] of this.byKey)
      // What cannot be deleted now can be at the next turn.
      if (atMs <= now) this.expire(key, revision).catch(() => undefined);
  }
}
