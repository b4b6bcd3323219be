import type { Clock } from './clock';
import type { Logger } from './log';

export interface PeriodicWork {
  clock: Clock;
  logger: Logger;
  /** Sets right what is not; must be harmless to repeat. */
  work: () => Promise<void>;
  periodMs: number;
  /** After a failure; default a second, or the period if that is shorter. */
  retryMs?: number;
  /** Logged at the first of several failures in a row. */
  failure: string;
}

/** Looks and sets right, again and again, until the signal. Never rejects. */
export async function runPeriodically(
  { clock, logger, work, periodMs, retryMs = Math.min(1_000, periodMs), failure }: PeriodicWork,
  signal: AbortSignal,
): Promise<void> {
  let failing = false;
  while (!signal.aborted) {
    try {
      await work();
      failing = false;
    } catch (err) {
      if (!failing && !signal.aborted) logger.warn({ err }, failure);
      failing = true;
    }
    await clock.sleep(failing ? retryMs : periodMs, signal).catch(() => undefined);
  }
}
