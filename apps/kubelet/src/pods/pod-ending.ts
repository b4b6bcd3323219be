import type { Pod } from '@naru/api';
import type { PodWorkerDeps } from './pod-worker-deps';
import { podGraceSeconds } from './pod-killer';
import type { PodRuntime } from './runtime-state';

/** Ends what runs of a pod that is to go, until somebody is in more of a hurry. */
export class PodEnding {
  private current: { graceSeconds: number; controller: AbortController } | undefined;

  constructor(private readonly deps: Pick<PodWorkerDeps, 'killer' | 'logger'>) {}

  /** Answers whether it has all ended; else it is to be ended anew, with the grace period that the pod has by then. */
  async run(pod: Pod, runtime: PodRuntime): Promise<boolean> {
    const { killer, logger } = this.deps;
    const graceSeconds = podGraceSeconds(pod);
    const controller = new AbortController();
    this.current = { graceSeconds, controller };
    const kill = killer.killPod(pod, runtime, graceSeconds, controller.signal);
    const interrupted = new Promise<false>(resolve =>
      controller.signal.addEventListener('abort', () => resolve(false), { once: true }),
    );
    const hasEnded = await Promise.race([kill.then(() => true), interrupted]);
    this.current = undefined;
    if (!hasEnded) {
      kill.catch((err: unknown) => logger.info({ err, uid: pod.metadata?.uid }, 'an earlier kill ended late'));
    }
    return hasEnded;
  }

  /** A shorter grace period than the one that is running out takes effect at once. */
  hurry(pod: Pod): void {
    if (this.current && podGraceSeconds(pod) < this.current.graceSeconds) {
      this.current.controller.abort(new Error('the grace period was shortened'));
    }
  }

  /** Waits no longer. */
  abandon(): void {
    this.current?.controller.abort(new Error('the kubelet is stopping'));
  }
}
