import { isReason, systemClock, type Clock, type Logger } from '@naru/foundation';
import type { EventInput, ObjectsClient } from '@naru/client';
import type { KubeObject, Labels, Pod, Stored } from '@naru/api';
import { createPodInfo, type PodInfo } from './cache/pod-info';
import { SchedulerCache } from './cache/scheduler-cache';
import type { CycleState } from './framework/cycle-state';
import { describeDiagnosis } from './framework/fit-error';
import { Framework } from './framework/framework';
import { NodeSelector, type Selection } from './framework/select-node';
import { Nominator } from './framework/nominator';
import { defaultSchedulerName, type Profile } from './framework/profile';
import type { ClusterChange, Diagnosis, Handle } from './framework/types';
import { Extenders } from './extenders/extenders';
import { patchScheduledCondition } from './pod-condition';
import { evictVictim } from './preemption/evict-victim';
import { SchedulingQueue, type QueuedPod } from './queue/scheduling-queue';
import type { SchedulerMetrics } from './metrics';

export interface SchedulerDeps {
  client: ObjectsClient;
  listers: Handle['listers'];
  storage: Handle['storage'];
  devices: Handle['devices'];
  namespaceLabels(namespace: string): Labels;
  /** Events carry the name of the profile that placed the pod. */
  recorder(schedulerName: string): { record(about: KubeObject, input: EventInput): void };
  /** Pods that ask for another scheduler name are someone else's. */
  profiles: readonly Profile[];
  extenders?: Extenders;
  logger: Logger;
  metrics?: SchedulerMetrics;
  clock?: Clock;
  random?: () => number;
  initialBackoffMs?: number;
  maxBackoffMs?: number;
}

/** A profile at work. */
interface Placer {
  name: string;
  framework: Framework;
  selector: NodeSelector;
  recorder: ReturnType<SchedulerDeps['recorder']>;
}

/** Bindings in flight; when they are that many the scheduler waits for the api-server. */
const maxBindings = 128;
/** After this long in one turn the loop lets I/O go on. */
const turnMs = 5;

/**
 * Places pods. Informer events go to `onPod…`/`cache` (see watch.ts); a cycle is: take a pod, choose a node, assume it
 * there, and bind beside the next cycles.
 */
export class Scheduler {
  readonly cache = new SchedulerCache();
  readonly queue: SchedulingQueue;
  readonly nominator = new Nominator();
  private readonly placers: ReadonlyMap<string, Placer>;
  private readonly clock: Clock;
  private bindings = 0;
  private scheduled = false;
  private running = false;
  /** An extender is being asked; until it has answered no other pod is looked at. */
  private asking = false;

  constructor(private readonly deps: SchedulerDeps) {
    this.clock = deps.clock ?? systemClock;
    this.placers = new Map(deps.profiles.map(profile => [profile.schedulerName, this.createPlacer(profile)]));
    this.queue = new SchedulingQueue({
      clock: this.clock,
      isRelevant: (change, pod, refusedBy) =>
        this.placerOf(pod.pod)?.framework.isRelevant(change, pod, refusedBy) ?? false,
      onReady: () => this.wake(),
      ...(deps.initialBackoffMs ? { initialBackoffMs: deps.initialBackoffMs } : {}),
      ...(deps.maxBackoffMs ? { maxBackoffMs: deps.maxBackoffMs } : {}),
    });
  }

  private createPlacer(profile: Profile): Placer {
    const { client, listers, namespaceLabels, storage, devices } = this.deps;
    const random = this.deps.random ?? Math.random;
    const extenders = this.deps.extenders ?? new Extenders([], this.deps.logger);
    const recorder = this.deps.recorder(profile.schedulerName);
    const framework: Framework = new Framework(profile, {
      cache: this.cache,
      client,
      listers,
      storage,
      devices,
      clock: this.clock,
      namespaceLabels,
      whileWaiting: work => this.whileWaiting(work),
      extenders,
      nominator: this.nominator,
      prepareTrial: pod => framework.prepareTrial(pod),
      evict: (victim, preemptor, nodeName) => this.evict(victim, preemptor, nodeName),
      random,
    });
    const { cache, nominator } = this;
    const { percentageOfNodesToScore, schedulerName: name } = profile;
    const selector = new NodeSelector({ cache, framework, nominator, extenders, percentageOfNodesToScore, random });
    return { name, framework, selector, recorder };
  }

  frameworkOf(schedulerName: string): Framework | undefined {
    return this.placers.get(schedulerName)?.framework;
  }

  private placerOf(pod: Pod): Placer | undefined {
    return this.placers.get(pod.spec?.schedulerName ?? defaultSchedulerName);
  }

  get bindingsInFlight(): number {
    return this.bindings;
  }

  /** Places pods until the signal aborts, and resolves when the last binding has been answered. */
  async run(signal: AbortSignal): Promise<void> {
    this.running = true;
    this.wake();
    await new Promise<void>(resolve => {
      if (signal.aborted) resolve();
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    this.running = false;
    while (this.bindings > 0) await this.clock.sleep(10);
  }

  isResponsible(pod: Pod): boolean {
    return this.placerOf(pod) !== undefined;
  }

  /** A pod without a node, new or changed. */
  enqueue(pod: Stored<Pod>, changed: boolean): void {
    // Assumed: the node is on its way to the api-server.
    if (this.cache.isPlaced(pod.metadata.uid)) return;
    const info = createPodInfo(pod);
    // Also after a restart: the room that was made is kept for the pod.
    const nominated = pod.status?.nominatedNodeName ?? this.nominator.nodeOf(info.uid);
    if (nominated) this.nominator.add(info, nominated);
    const gate = this.placerOf(pod)?.framework.runPreEnqueue(info);
    const isNew = !this.queue.get(info.uid);
    this.queue.add(info, { gated: gate !== undefined, changed });
    if (gate && isNew) this.report(info, gate.status.reasons.join(', '), 'SchedulingGated');
  }

  /** A pod that waits no more: it is gone, or someone else's. */
  dequeue(uid: string): void {
    this.queue.remove(uid);
    // What was kept for it, others may have.
    if (this.nominator.remove(uid)) this.moveOn({ event: 'AssignedPodDelete' });
  }

  moveOn(change: ClusterChange): void {
    this.queue.moveOn(change);
  }

  /** One cycle; for tests and benchmarks. False when no pod was ready. */
  scheduleOne(): boolean {
    const queued = this.queue.pop();
    if (!queued) return false;
    const placer = this.placerOf(queued.info.pod);
    // Its scheduler name cannot change; an unknown one was never queued.
    if (!placer) return true;
    const startedAt = this.clock.now();
    const selection = placer.selector.select(queued.info);
    if (!(selection instanceof Promise)) {
      this.conclude(queued, placer, selection, startedAt);
      return true;
    }
    this.asking = true;
    selection
      .then(
        found => this.conclude(queued, placer, found, startedAt),
        (error: Error) => this.giveUp(queued, placer, error),
      )
      .finally(() => {
        this.asking = false;
        this.wake();
      });
    return true;
  }

  private conclude(queued: QueuedPod, placer: Placer, selection: Selection, startedAt: number): void {
    const { info } = queued;
    // Deleted while an extender was thinking.
    if (queued.where !== 'taken') return;
    if ('diagnosis' in selection) return this.refuse(queued, placer, selection.diagnosis);
    const { state, nodeName } = selection;
    this.cache.assume(info, nodeName);
    const refused = placer.framework.runReserve(state, info, nodeName);
    if (refused) {
      this.cache.forget(info.uid);
      this.queue.giveBack(queued, new Set());
      this.fail(info, placer, refused.reasons.join(', '));
      return;
    }
    void this.bind(queued, placer, state, nodeName, startedAt);
  }

  private refuse(queued: QueuedPod, placer: Placer, diagnosis: Diagnosis): void {
    const { info } = queued;
    this.deps.metrics?.attempts.inc({ result: 'unschedulable', profile: placer.name });
    // An empty cluster has no plugin to blame: any node may help.
    const refusedBy = diagnosis.nodeCount === 0 ? new Set(['NodeName']) : diagnosis.plugins;
    const { nominatedNode } = diagnosis;
    if (nominatedNode) this.nominator.add(info, nominatedNode);
    else if (nominatedNode === '') this.nominator.remove(info.uid);
    this.queue.giveBack(queued, refusedBy);
    this.fail(info, placer, describeDiagnosis(diagnosis), nominatedNode);
  }

  /** Something has failed that is not the pod's fault: only trying again helps. */
  private giveUp(queued: QueuedPod, placer: Placer, err: Error): void {
    const { info } = queued;
    this.deps.logger.warn({ err, pod: info.key }, 'scheduling failed');
    this.deps.metrics?.attempts.inc({ result: 'error', profile: placer.name });
    this.queue.giveBack(queued, new Set());
    placer.recorder.record(asPod(info.pod), { type: 'Warning', reason: 'FailedScheduling', message: err.message });
    this.report(info, err.message, 'SchedulerError');
  }

  private async whileWaiting<T>(work: Promise<T>): Promise<T> {
    this.bindings--;
    this.wake();
    try {
      return await work;
    } finally {
      this.bindings++;
    }
  }

  private wake(): void {
    if (this.scheduled || !this.running) return;
    this.scheduled = true;
    queueMicrotask(() => this.turn());
  }

  private turn(): void {
    this.scheduled = false;
    const until = performance.now() + turnMs;
    while (this.running && !this.asking && this.bindings < maxBindings) {
      if (performance.now() > until) {
        this.scheduled = true;
        setImmediate(() => this.turn());
        return;
      }
      if (!this.scheduleOne()) return;
    }
  }

  private async bind(
    queued: QueuedPod,
    placer: Placer,
    state: CycleState,
    nodeName: string,
    startedAt: number,
  ): Promise<void> {
    const { info } = queued;
    const { metrics, logger } = this.deps;
    const { framework, recorder, name: profile } = placer;
    this.bindings++;
    try {
      const refused = await framework.runBindingCycle(state, info, nodeName);
      if (refused) return this.unbind(queued, placer, state, nodeName, refused.status.reasons.join(', '));
      this.dequeue(info.uid);
      metrics?.attempts.inc({ result: 'scheduled', profile });
      metrics?.attemptDuration.observe((this.clock.now() - startedAt) / 1000);
      recorder.record(asPod(info.pod), {
        type: 'Normal',
        reason: 'Scheduled',
        message: `Successfully assigned ${info.key} to ${nodeName}`,
      });
      logger.debug({ pod: info.key, node: nodeName, attempts: queued.attempts }, 'pod bound');
    } catch (err) {
      metrics?.attempts.inc({ result: 'error', profile });
      if (isReason(err, 'NotFound')) {
        // The pod is gone; the informer will say so too.
        framework.runUnreserve(state, info, nodeName);
        this.cache.forget(info.uid);
        this.dequeue(info.uid);
        return;
      }
      logger.warn({ err, pod: info.key, node: nodeName }, 'binding failed');
      this.unbind(queued, placer, state, nodeName, `binding rejected: ${(err as Error).message}`);
    } finally {
      this.bindings--;
      this.wake();
    }
  }

  private unbind(queued: QueuedPod, placer: Placer, state: CycleState, nodeName: string, message: string): void {
    const { info } = queued;
    placer.framework.runUnreserve(state, info, nodeName);
    this.cache.forget(info.uid);
    // The informer has told meanwhile that the pod is bound after all: the answer got lost, not the request.
    if (this.cache.isPlaced(info.uid)) return this.queue.remove(info.uid);
    this.queue.giveBack(queued, new Set());
    this.queue.moveOn({ event: 'AssignedPodDelete' });
    this.fail(info, placer, message);
  }

  private fail(info: PodInfo, placer: Placer, message: string, nominatedNode?: string): void {
    placer.recorder.record(asPod(info.pod), { type: 'Warning', reason: 'FailedScheduling', message });
    this.report(info, message, 'Unschedulable', nominatedNode);
  }

  private evict(victim: PodInfo, preemptor: PodInfo, nodeName: string): void {
    const { client, logger } = this.deps;
    if (victim.pod.metadata.deletionTimestamp) return;
    this.placerOf(preemptor.pod)?.recorder.record(asPod(victim.pod), {
      type: 'Normal',
      reason: 'Preempted',
      message: `Preempted by pod ${preemptor.uid} on node ${nodeName}`,
    });
    logger.info({ pod: preemptor.key, victim: victim.key, node: nodeName }, 'preempting a pod');
    evictVictim(client, victim.pod, this.clock.now()).catch((err: unknown) => {
      // The preemptor is tried again, and chooses again.
      logger.warn({ err, victim: victim.key }, 'preemption failed');
    });
  }

  private report({ pod, key }: PodInfo, message: string, reason: string, nominatedNode?: string): void {
    const refusal = { reason, message, nominatedNode, now: this.clock.now() };
    patchScheduledCondition(this.deps.client, pod, refusal).catch((err: unknown) => {
      if (!isReason(err, 'NotFound', 'Conflict'))
        this.deps.logger.warn({ err, pod: key }, 'writing the PodScheduled condition failed');
    });
  }
}

/** Events name the kind, which objects out of lists may not carry. */
function asPod(pod: Stored<Pod>): Pod {
  return pod.kind ? pod : { ...pod, apiVersion: 'v1', kind: 'Pod' };
}
