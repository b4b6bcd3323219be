import type { Clock } from '@naru/foundation';

export interface StepResult {
  /** Look again after so long even if nothing happens. */
  wakeAfterMs?: number | undefined;
  /** Look again at once. */
  again?: boolean;
}

interface StepLoopDeps {
  /** `news`: there is reason to look; false when nothing but the time that the last step asked for has come. */
  step: (news: boolean) => Promise<StepResult>;
  /** Called after every step, also after one that has failed, before it is decided whether another follows. */
  onStepped: () => void;
  /** A step has failed; it is tried again after so long, or sooner if there is reason to. */
  onFailure: (err: unknown, wakeAfterMs: number) => void;
  clock: Clock;
}

const firstRetryMs = 500;
const maxRetryMs = 60_000;

/** Takes one step at a time: when there is reason to look, when the last step asked for it, and again after a failure. */
export class StepLoop {
  private wanted = false;
  private news = false;
  private running = false;
  private closed = false;
  private failures = 0;
  private cancelWake: (() => void) | undefined;

  constructor(private readonly deps: StepLoopDeps) {}

  get isRunning(): boolean {
    return this.running;
  }

  /** Something may have changed. The first step begins before this returns. */
  notify(): void {
    this.news = true;
    this.wake();
  }

  /** No other step begins. */
  close(): void {
    this.closed = true;
    this.cancelWake?.();
  }

  private wake(): void {
    if (this.closed) return;
    this.wanted = true;
    if (this.running) return;
    this.running = true;
    void this.run();
  }

  private async run(): Promise<void> {
    while (this.wanted && !this.closed) {
      const { news } = this;
      this.wanted = this.news = false;
      this.cancelWake?.();
      let result: StepResult;
      try {
        result = await this.deps.step(news);
        this.failures = 0;
      } catch (err) {
        const wakeAfterMs = Math.min(maxRetryMs, firstRetryMs * 2 ** this.failures++);
        this.deps.onFailure(err, wakeAfterMs);
        result = { wakeAfterMs };
      }
      this.deps.onStepped();
      if (result.again) this.wanted = this.news = true;
      if (result.wakeAfterMs !== undefined && !this.closed) {
        this.cancelWake = this.deps.clock.after(Math.max(1, result.wakeAfterMs), () => this.wake());
      }
    }
    this.running = false;
  }
}
