import type { Clock } from '@naru/foundation';

interface Timer {
  at: number;
  callback: () => void;
}

/** Time that passes only when `step` is called: from timer to timer, however long that is. */
export class SimulatedClock implements Clock {
  /** By time, and of equal times by age. */
  private readonly timers: Timer[] = [];

  constructor(private time = Date.parse('2026-01-01T00:00:00Z')) {}

  now(): number {
    return this.time;
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.time + Math.max(0, ms), callback };
    let [low, high] = [0, this.timers.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.timers[middle] as Timer).at <= timer.at) low = middle + 1;
      else high = middle;
    }
    this.timers.splice(low, 0, timer);
    return () => {
      const at = this.timers.indexOf(timer);
      if (at >= 0) this.timers.splice(at, 1);
    };
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error);
      const onAbort = (): void => {
        cancel();
        reject(signal?.reason as Error);
      };
      const cancel = this.after(ms, () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      });
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Goes to the next timer, runs it and all that follows from it at once. False: there is none before `until`. */
  async step(until: number): Promise<boolean> {
    const [next] = this.timers;
    if (!next || next.at > until) {
      this.time = Math.max(this.time, until);
      return false;
    }
    this.timers.shift();
    this.time = next.at;
    next.callback();
    await settleMicrotasks();
    return true;
  }
}

/** Resolves when every promise that could go on without a timer has done so. */
export function settleMicrotasks(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve));
}
