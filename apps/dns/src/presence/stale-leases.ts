import type { Lease, Stored } from '@naru/api';

/**
 * Tells which replicas have stopped renewing their Lease, by our own clock: it is enough that a Lease has not changed
 * while we were watching, so clocks need not agree.
 */
export class StaleLeases {
  private readonly seen = new Map<string, { version: string; at: number }>();
  private lastLook = -Infinity;

  /** `durationMs`: how long a Lease may stay unchanged. */
  constructor(private readonly durationMs: number) {}

  /** Give it every list of the leases; answers those that are stale. */
  look(leases: Stored<Lease>[], now: number): Stored<Lease>[] {
    // While we could not look, nobody else may have been able to renew either.
    if (now - this.lastLook > this.durationMs / 2) this.seen.clear();
    this.lastLook = now;
    const names = new Set(leases.map(({ metadata }) => metadata.name));
    for (const name of this.seen.keys()) if (!names.has(name)) this.seen.delete(name);
    return leases.filter(({ metadata: { name, resourceVersion } }) => {
      const before = this.seen.get(name);
      if (before?.version === resourceVersion) return now - before.at > this.durationMs;
      this.seen.set(name, { version: resourceVersion, at: now });
      return false;
    });
  }
}
