import type { Clock, Logger } from '@naru/foundation';
import { rejection, type Rejection } from '../pods/admission';
import { isCritical } from '../pods/critical-pod';
import { podGraceSeconds } from '../pods/pod-killer';
import type { PodWorker } from '../pods/pod-worker';

export interface GracefulShutdownDeps {
  workers: () => readonly PodWorker[];
  clock: Clock;
  logger: Logger;
  /** How long all pods together may take; 0: they are left as they are. */
  periodMs: number;
  /** The part of it that is kept for critical pods, which end last. */
  criticalMs: number;
  /** The node has begun to shut down: its status is to say so. */
  onBegin: () => void;
}

const verdict = {
  reason: 'Terminated',
  message: 'Pod was terminated in response to imminent node shutdown.',
  disruption: true,
};

/** Ends the pods of a node that is going down, in time and in order. Source: pkg/kubelet/nodeshutdown. */
export class GracefulShutdown {
  private begun = false;

  constructor(private readonly deps: GracefulShutdownDeps) {}

  get isActive(): boolean {
    return this.begun;
  }

  admit(): Rejection | undefined {
    return this.begun ? rejection('NodeShutdown', 'Pod was rejected as the node is shutting down.') : undefined;
  }

  /** Resolves when all pods have ended or their time is up. Does nothing without a period. */
  async run(): Promise<void> {
    const { periodMs, criticalMs, workers, logger, onBegin } = this.deps;
    if (periodMs === 0 || this.begun) return;
    this.begun = true;
    onBegin();
    const pods = workers().filter(worker => !worker.isOver);
    logger.info({ pods: pods.length, periodMs }, 'node is shutting down, pods are ended');
    await this.end(
      pods.filter(({ current }) => !isCritical(current)),
      periodMs - criticalMs,
    );
    await this.end(
      pods.filter(({ current }) => isCritical(current)),
      criticalMs,
    );
  }

  private async end(pods: readonly PodWorker[], periodMs: number): Promise<void> {
    const { clock } = this.deps;
    const controller = new AbortController();
    const graceOf = ({ current }: PodWorker): number => Math.min(podGraceSeconds(current), Math.floor(periodMs / 1000));
    const ended = Promise.all(pods.map(pod => pod.evict(verdict, graceOf(pod))));
    await Promise.race([ended, clock.sleep(periodMs, controller.signal).catch(() => undefined)]);
    controller.abort();
  }
}
