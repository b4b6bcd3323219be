/** As upstream: 10 s, doubled up to 5 minutes, forgotten after twice the longest delay without a failure. */
export interface BackOffOptions {
  initialMs?: number;
  maxMs?: number;
  /** How long after a failure another one counts as the first again. */
  forgetMs?: number;
  now: () => number;
}

interface Entry {
  delayMs: number;
  lastUpdate: number;
}

const maxEntries = 4_096;

/** Delays by key. Source: client-go flowcontrol.Backoff, which the kubelet uses for restarts and for image pulls. */
export class BackOff {
  private readonly entries = new Map<string, Entry>();
  private readonly initialMs: number;
  private readonly maxMs: number;
  private readonly forgetMs: number;
  private readonly now: () => number;

  constructor(options: BackOffOptions) {
    this.maxMs = options.maxMs ?? 300_000;
    this.initialMs = Math.min(options.initialMs ?? 10_000, this.maxMs);
    this.forgetMs = options.forgetMs ?? 2 * this.maxMs;
    this.now = options.now;
  }

  /** The current delay of a key; 0 before its first failure. */
  delayMs(key: string): number {
    return this.entries.get(key)?.delayMs ?? 0;
  }

  /** How long to wait until the next try when the last one ended at `since`. */
  remainingMs(key: string, since: number): number {
    const entry = this.entries.get(key);
    if (!entry || this.isOver(entry, since)) return 0;
    return Math.max(0, since + entry.delayMs - this.now());
  }

  /** Notes a try; the next one has to wait twice as long. `at` is when the last one failed. */
  next(key: string, at: number): void {
    const entry = this.entries.get(key);
    const fresh = !entry || this.isOver(entry, at);
    if (fresh && !entry && this.entries.size >= maxEntries) this.forget(this.entries.keys().next().value as string);
    this.entries.set(key, {
      delayMs: fresh ? this.initialMs : Math.min(entry.delayMs * 2, this.maxMs),
      lastUpdate: this.now(),
    });
  }

  forget(key: string): void {
    this.entries.delete(key);
  }

  private isOver(entry: Entry, at: number): boolean {
    return at - entry.lastUpdate > this.forgetMs;
  }
}
