import type { Clock } from '@naru/foundation';

/** A wait that somebody can cut short; a nudge that comes too early shortens the next wait. */
export class Nudge {
  private wake: (() => void) | undefined;
  private pending = false;

  nudge(): void {
    if (this.wake) this.wake();
    else this.pending = true;
  }

  /** Resolves after `ms`, at a nudge or when the signal says so. */
  wait(ms: number, clock: Clock, signal: AbortSignal): Promise<void> {
    if (this.pending || signal.aborted) {
      this.pending = false;
      return Promise.resolve();
    }
    return new Promise(resolve => {
      const done = (): void => {
        cancel();
        signal.removeEventListener('abort', done);
        this.wake = undefined;
        resolve();
      };
      const cancel = clock.after(ms, done);
      signal.addEventListener('abort', done, { once: true });
      this.wake = done;
    });
  }
}
