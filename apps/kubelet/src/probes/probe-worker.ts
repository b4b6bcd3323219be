import type { Probe } from '@naru/api';
import type { Clock } from '@naru/foundation';
import type { ProbeOutcome } from './http-probe';

export type ProbeType = 'liveness' | 'readiness' | 'startup';

export interface ProbeWorkerDeps {
  type: ProbeType;
  probe: Probe;
  /** When the container started, in milliseconds. */
  startedAt: number;
  /** The result before the first probe. */
  initial: boolean | undefined;
  clock: Clock;
  run: () => Promise<ProbeOutcome | undefined>;
  /** Other probes wait until the startup probe has succeeded. */
  mayRun: () => boolean;
  onResult: (result: boolean) => void;
  /** A single failure, before any threshold. */
  onFailure: (output: string) => void;
}

/** Probes one running container for one purpose, until stopped. Source: pkg/kubelet/prober/worker.go. */
export class ProbeWorker {
  private result: boolean | undefined;
  private last: boolean | undefined;
  private inARow = 0;
  private wake: (() => void) | undefined;
  private readonly controller = new AbortController();

  constructor(private readonly deps: ProbeWorkerDeps) {
    this.result = deps.initial;
    void this.loop().catch(() => undefined);
  }

  stop(): void {
    this.controller.abort(new Error('the probe is over'));
    this.poke();
  }

  /** Looks again at once whether it may run. */
  poke(): void {
    this.wake?.();
  }

  private async loop(): Promise<void> {
    const { probe, clock, startedAt } = this.deps;
    const { signal } = this.controller;
    const delayMs = startedAt + (probe.initialDelaySeconds ?? 0) * 1000 - clock.now();
    if (delayMs > 0) await clock.sleep(delayMs, signal);
    const periodMs = (probe.periodSeconds ?? 10) * 1000;
    while (!signal.aborted) {
      if (!this.deps.mayRun()) {
        await new Promise<void>(resolve => (this.wake = resolve));
        continue;
      }
      const outcome = await this.deps.run();
      if (signal.aborted) return;
      if (outcome && this.note(outcome)) return;
      await clock.sleep(periodMs, signal);
    }
  }

  /** Takes one outcome in; true when no more probes are needed. */
  private note({ success, output }: ProbeOutcome): boolean {
    const { type, probe, onFailure, onResult } = this.deps;
    this.inARow = this.last === success ? this.inARow + 1 : 1;
    this.last = success;
    if (!success) onFailure(output);
    const threshold = success ? (probe.successThreshold ?? 1) : (probe.failureThreshold ?? 3);
    if (this.inARow < threshold) return false;
    if (this.result !== success) {
      this.result = success;
      onResult(success);
    }
    // A container that failed these is replaced; a startup that succeeded does not happen again.
    return type === 'startup' || (type === 'liveness' && !success);
  }
}
