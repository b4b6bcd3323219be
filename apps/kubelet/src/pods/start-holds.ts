import type { Clock } from '@naru/foundation';

/**
 * Containers of one pod that the runtime could not make or start, and when that is tried again. Until then no news of the pod is a reason to:
 * the runtime's words may be others each time, so that the status that tells of a failure would itself be news.
 */
export class StartHolds {
  private readonly until = new Map<string, number>();

  constructor(private readonly clock: Pick<Clock, 'now'>) {}

  hold(container: string, delayMs: number): void {
    this.until.set(container, this.clock.now() + delayMs);
  }

  /** 0: it may be tried now. */
  remainingMs(container: string): number {
    return Math.max(0, (this.until.get(container) ?? 0) - this.clock.now());
  }

  /** The pod is to be another. */
  clear(): void {
    this.until.clear();
  }
}
