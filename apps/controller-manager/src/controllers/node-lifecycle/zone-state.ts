/** How the nodes of a zone are, all in all. Source: upstream's node lifecycle controller. */
export type ZoneState = 'Initial' | 'Normal' | 'PartialDisruption' | 'FullDisruption';

export function zoneState(ready: number, notReady: number, unhealthyThreshold: number): ZoneState {
  if (ready + notReady === 0) return 'Initial';
  if (ready === 0 && notReady > 0) return 'FullDisruption';
  if (notReady > 2 && notReady / (notReady + ready) >= unhealthyThreshold) return 'PartialDisruption';
  return 'Normal';
}

export interface RateSettings {
  nodeEvictionRate: number;
  secondaryNodeEvictionRate: number;
  largeClusterSize: number;
}

/**
 * Nodes per second whose pods may be evicted. When every zone is fully disrupted the fault is more likely ours than
 * theirs: nothing is evicted. One fully disrupted zone among others is evicted at the normal rate; of a mostly unhealthy
 * zone little, and nothing if it is small: there is nowhere to go.
 */
export function evictionRate(
  state: ZoneState,
  zoneSize: number,
  allZonesFullyDisrupted: boolean,
  settings: RateSettings,
): number {
  if (allZonesFullyDisrupted) return 0;
  if (state === 'PartialDisruption')
    return zoneSize > settings.largeClusterSize ? settings.secondaryNodeEvictionRate : 0;
  return settings.nodeEvictionRate;
}

/** A token bucket of one token whose rate may change. */
export class EvictionBudget {
  private tokens = 1;
  private updatedAt: number | undefined;

  /** 0: taken. Else how many milliseconds until the next token at this rate; Infinity at rate 0. */
  take(ratePerSecond: number, now: number): number {
    this.tokens = Math.min(1, this.tokens + ((now - (this.updatedAt ?? now)) / 1000) * ratePerSecond);
    this.updatedAt = now;
    if (ratePerSecond === 0) return Infinity;
    // Rounding must not make the caller come again for a billionth.
    if (this.tokens >= 1 - 1e-6) {
      this.tokens = 0;
      return 0;
    }
    return Math.ceil(((1 - this.tokens) / ratePerSecond) * 1000);
  }
}
