import type { Clock, Logger } from '@naru/foundation';

export interface SyncLoopDeps {
  /** For the log. */
  name: string;
  /** Makes the kernel follow. `full`: from scratch, whatever was done before. */
  sync: (full: boolean) => Promise<void>;
  clock: Clock;
  logger: Logger;
  /** The least time from the end of one sync to the start of the next; a first change after a quiet time does not wait. */
  minPeriodMs: number;
  /** A full sync comes at least so often, in case that somebody else has changed what is ours. */
  fullPeriodMs: number;
  /** First wait after a failure; doubles up to `maxBackoffMs`. */
  backoffMs?: number;
  maxBackoffMs?: number;
}

/** Runs one sync at a time; triggers while one runs become one more. A failure is followed by a full one. */
export class SyncLoop {
  private wanted = false;
  private full = true;
  private running: Promise<void> | undefined;
  private cancelTimer: (() => void) | undefined;
  private cancelFull: (() => void) | undefined;
  private lastEnd = Number.NEGATIVE_INFINITY;
  private failures = 0;
  private stopped = false;

  constructor(private readonly deps: SyncLoopDeps) {}

  /** Something has changed. */
  trigger(): void {
    if (this.stopped || this.wanted) return;
    this.wanted = true;
    if (!this.running) this.schedule();
  }

  triggerFull(): void {
    this.full = true;
    this.trigger();
  }

  /** Takes no more triggers and resolves when a sync under way has ended. */
  async stop(): Promise<void> {
    this.stopped = true;
    this.cancelTimer?.();
    this.cancelFull?.();
    await this.running;
  }

  private schedule(): void {
    const { clock, minPeriodMs, backoffMs = 100, maxBackoffMs = 30_000 } = this.deps;
    const pause = this.failures === 0 ? minPeriodMs : Math.min(backoffMs * 2 ** (this.failures - 1), maxBackoffMs);
    const waitMs = Math.max(0, this.lastEnd + pause - clock.now());
    this.cancelTimer = clock.after(waitMs, () => {
      this.running = this.runOnce().finally(() => {
        this.running = undefined;
        if (this.wanted && !this.stopped) this.schedule();
      });
    });
  }

  private async runOnce(): Promise<void> {
    const { clock, logger, name, fullPeriodMs } = this.deps;
    const full = this.full;
    this.full = false;
    this.wanted = false;
    try {
      await this.deps.sync(full);
      this.failures = 0;
    } catch (err) {
      this.failures++;
      this.full = true;
      this.wanted = true;
      logger.error({ err, loop: name, full, failures: this.failures }, 'sync failed');
    }
    this.lastEnd = clock.now();
    if (full) {
      this.cancelFull?.();
      this.cancelFull = clock.after(fullPeriodMs, () => this.triggerFull());
    }
  }
}
