import { setMaxListeners } from 'node:events';

const maxMs = 60_000;

/**
 * Signals that abort when time is up, or up to a second later: one for all calls of the same second. A timer and a signal for each call
 * cost more than the lookup of an object.
 */
export class Deadlines {
  /** By the second of their end: as many as `maxMs` has seconds at most. */
  private readonly signals = new Map<number, AbortSignal>();

  after(ms: number): AbortSignal {
    const now = performance.now();
    const second = Math.ceil((now + Math.min(Math.max(ms, 0), maxMs)) / 1000);
    const known = this.signals.get(second);
    if (known) return known;
    const signal = AbortSignal.timeout(Math.ceil(second * 1000 - now));
    setMaxListeners(0, signal);
    this.signals.set(second, signal);
    signal.addEventListener('abort', () => this.signals.delete(second), { once: true });
    return signal;
  }
}
