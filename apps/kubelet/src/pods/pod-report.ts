import type { Pod, Stored } from '@naru/api';
import { terminationMessage } from '../containers/termination-message';
import type { WaitingReason } from '../status/container-status';
import { podStatus, type PodFailure } from '../status/pod-status';
import { VolumeError } from '../volumes/pod-volumes';
import { crashLoop, restartKey } from './crash-loop';
import type { PodPlan } from './decide';
import { PodStartError } from './pod-starter';
import type { PodWorkerDeps } from './pod-worker-deps';
import type { PodRuntime } from './runtime-state';
import { reportVolumes } from './volume-refresh';

type Deps = Pick<
  PodWorkerDeps,
  | 'allocations'
  | 'backOff'
  | 'clock'
  | 'deviceHealth'
  | 'events'
  | 'hostIps'
  | 'onStarted'
  | 'probes'
  | 'resizer'
  | 'runtimeName'
  | 'shownAs'
  | 'status'
>;

/** How far a pod is, as its worker knows it. */
interface PodProgress {
  runtime: PodRuntime;
  terminating: boolean;
  /** Nothing will ever run again in this pod. */
  finished: boolean;
  failure: PodFailure | undefined;
}

/** What one pod's worker tells of it: the pod's status, and events. */
export class PodReport {
  /** Containers whose start, or restart, has to wait, and why. */
  readonly waiting = new Map<string, WaitingReason>();
  /** Container id → what an ended container has left to say. */
  private readonly messages = new Map<string, string>();
  /** When a new pod was first seen, until its first container has started. */
  private seenAt: number | undefined;

  /** `known`: the pod was here before us. */
  constructor(
    private readonly uid: string,
    known: boolean,
    private readonly deps: Deps,
  ) {
    this.seenAt = known ? undefined : deps.clock.now();
  }

  /** The runtime was read anew. A message is read once, when its container has ended. */
  noteRuntime({ containers }: PodRuntime): void {
    for (const record of containers) {
      if (record.phase !== 'exited' || this.messages.has(record.id)) continue;
      this.messages.set(record.id, terminationMessage(record));
    }
    for (const id of this.messages.keys()) {
      if (!containers.some(record => record.id === id)) this.messages.delete(id);
    }
  }

  /** Reasons that hold for this step: crash loops; others are added by the starter. */
  noteWaiting(pod: Stored<Pod>, plan: PodPlan): void {
    const { events, backOff } = this.deps;
    const before = new Map(this.waiting);
    this.waiting.clear();
    const { namespace = '', name } = pod.metadata;
    for (const { container, record } of plan.waiting) {
      const delayMs = backOff.delayMs(restartKey(this.uid, container.name, record.hash));
      this.waiting.set(container.name, crashLoop(pod, container.name, delayMs));
      if (before.get(container.name)?.reason === 'CrashLoopBackOff') continue;
      const message = `Back-off restarting failed container ${container.name} in pod ${name}_${namespace}(${this.uid})`;
      events.container(pod, container.name, 'Warning', 'BackOff', message);
    }
    // A pull that failed stays the reason until the next try has an outcome.
    for (const { container } of plan.start) {
      const reason = before.get(container.name);
      if (reason && !this.waiting.has(container.name)) this.waiting.set(container.name, reason);
    }
  }

  /** A container of the pod has started. */
  noteStarted(): void {
    if (this.seenAt !== undefined) this.deps.onStarted((this.deps.clock.now() - this.seenAt) / 1000);
    this.seenAt = undefined;
  }

  /** The pod could not be started. */
  noteFailure(pod: Pod, error: unknown): void {
    const { events } = this.deps;
    if (error instanceof VolumeError) reportVolumes(pod, error, events);
    else if (error instanceof PodStartError) events.pod(pod, 'Warning', error.reason, error.message);
    else events.pod(pod, 'Warning', 'FailedSync', `error syncing pod: ${(error as Error).message}`);
  }

  /** The status is computed when it is written, from what holds now and the newest pod. */
  writeStatus(pod: Stored<Pod>, { runtime, terminating, finished, failure }: PodProgress): void {
    const { status, probes, clock, hostIps, runtimeName, resizer, allocations, deviceHealth } = this.deps;
    const shown = this.deps.shownAs(pod);
    if (!shown) return;
    const waiting = new Map(this.waiting);
    const messages = new Map(this.messages);
    const nowMs = clock.now();
    const resize = resizer.state(this.uid);
    const given = allocations.allocated(pod);
    status.set(shown, newest =>
      podStatus({
        pod: allocations.allocated(newest),
        resize,
        isOutdated: (container, record) => resizer.isOutdated(given, container, record),
        runtime,
        runtimeName,
        waiting,
        messages,
        isReady: (container, record) => probes.isReady(this.uid, container, record),
        hasStarted: (container, record) => probes.hasStarted(this.uid, container, record),
        deviceHealth: container => deviceHealth(pod, container),
        terminating,
        hostIps,
        nowMs,
        finished,
        // The verdict shows when it has been carried out.
        failure: finished ? failure : undefined,
      }),
    );
  }

  /** Resolves when the last status has been written. */
  async flush(pod: Stored<Pod>): Promise<void> {
    const shown = this.deps.shownAs(pod);
    if (shown) await this.deps.status.flush(shown.metadata.uid);
  }
}
