/** Who holds bytes that its client has not taken yet. */
export interface Holder {
  readonly heldBytes: number;
  /** Gives everything back, at once. */
  cut(): void;
}

/** What all watches together may hold for clients that are slower than the changes. */
export class WatchBudget {
  private used = 0;
  private readonly holders = new Set<Holder>();

  constructor(private readonly maxBytes: number) {}

  get usedBytes(): number {
    return this.used;
  }

  /** Counts `bytes` more; those that hold most are cut off until all fits, which may be the caller itself. */
  take(holder: Holder, bytes: number): void {
    this.used += bytes;
    this.holders.add(holder);
    while (this.used > this.maxBytes) {
      let largest: Holder | undefined;
      for (const other of this.holders) if (!largest || other.heldBytes > largest.heldBytes) largest = other;
      if (!largest) return;
      largest.cut();
      this.holders.delete(largest);
    }
  }

  give(holder: Holder, bytes: number): void {
    this.used -= bytes;
    if (holder.heldBytes === 0) this.holders.delete(holder);
  }
}

export const watchBudget = new WatchBudget(128 * 1024 * 1024);
