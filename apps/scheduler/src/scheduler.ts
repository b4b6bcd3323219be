import { isReason, systemClock, type Clock, type Logger } from '@naru/foundation';
import type { EventInput, ObjectsClient } from '@naru/client';
import type { KubeObject, Labels, Pod, Stored } from '@naru/api';
import { createPodInfo, type PodInfo } from './cache/pod-info';
import { SchedulerCache } from './cache/scheduler-cache';
import type { CycleState } from './framework/cycle-state';
import { describeDiagnosis } from './framework/fit-error';
import { Framework } from './framework/framework';
import { NodeSelector } from './framework/select-node';
import { Nominator } from './framework/nominator';
import type { ClusterEvent, Handle, PluginFactory } from './framework/types';
import { patchScheduledCondition } from './pod-condition';
import { evictVictim } from './preemption/evict-victim';
import { SchedulingQueue, type QueuedPod } from './queue/scheduling-queue';
import type { SchedulerMetrics } from './metrics';

export interface SchedulerDeps {
  client: ObjectsClient;
  listers: Handle['listers'];
  namespaceLabels(namespace: string): Labels;
  recorder: { record(about: KubeObject, input: EventInput): void };
  plugins: readonly PluginFactory[];
  logger: Logger;
  metrics?: SchedulerMetrics;
  clock?: Clock;
  random?: () => number;
  /** Pods with another spec.schedulerName are someone else's. */
  schedulerName?: string;
  /** 0: adapts to the size of the cluster. */
  percentageOfNodesToScore?: number;
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
  readonly framework: Framework;
  readonly queue: SchedulingQueue;
  readonly nominator = new Nominator();
  private readonly selector: NodeSelector;
  private readonly clock: Clock;
  private bindings = 0;
  private scheduled = false;
  private running = false;

  constructor(private readonly deps: SchedulerDeps) {
    this.clock = deps.clock ?? systemClock;
    const { client, listers, namespaceLabels, plugins } = deps;
    const random = deps.random ?? Math.random;
    this.framework = new Framework(plugins, {
      cache: this.cache,
      client,
      listers,
      namespaceLabels,
      nominator: this.nominator,
      trial: (pod, node) => this.framework.trial(pod, node),
      evict: (victim, preemptor, nodeName) => this.evict(victim, preemptor, nodeName),
      random,
    });
    this.selector = new NodeSelector({
      cache: this.cache,
      framework: this.framework,
      nominator: this.nominator,
      percentageOfNodesToScore: deps.percentageOfNodesToScore ?? 0,
      random,
    });
    this.queue = new SchedulingQueue({
      clock: this.clock,
      isRelevant: (event, refusedBy) => this.framework.isRelevant(event, refusedBy),
      onReady: () => this.wake(),
    });
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
    return (pod.spec?.schedulerName ?? 'default-scheduler') === (this.deps.schedulerName ?? 'default-scheduler');
  }

  /** A pod without a node, new or changed. */
  enqueue(pod: Stored<Pod>, changed: boolean): void {
    // Assumed: the node is on its way to the api-server.
    if (this.cache.isPlaced(pod.metadata.uid)) return;
    const info = createPodInfo(pod);
    // Also after a restart: the room that was made is kept for the pod.
    const nominated = pod.status?.nominatedNodeName ?? this.nominator.nodeOf(info.uid);
    if (nominated) this.nominator.add(info, nominated);
    const gate = this.framework.runPreEnqueue(info);
    const isNew = !this.queue.get(info.uid);
    this.queue.add(info, { gated: gate !== undefined, changed });
    if (gate && isNew) this.report(info, gate.status.reasons.join(', '), 'SchedulingGated');
  }

  /** A pod that waits no more: it is gone, or someone else's. */
  dequeue(uid: string): void {
    this.queue.remove(uid);
    // What was kept for it, others may have.
    if (this.nominator.remove(uid)) this.moveOn('AssignedPodDelete');
  }

  moveOn(event: ClusterEvent): void {
    this.queue.moveOn(event);
  }

  /** One cycle; for tests and benchmarks. False when no pod was ready. */
  scheduleOne(): boolean {
    const queued = this.queue.pop();
    if (!queued) return false;
    const startedAt = this.clock.now();
    const { info } = queued;
    const selection = this.selector.select(info);
    if ('diagnosis' in selection) {
      const message = describeDiagnosis(selection.diagnosis);
      this.deps.metrics?.attempts.inc({ result: 'unschedulable', profile: 'default-scheduler' });
      // An empty cluster has no plugin to blame: any node may help.
      const refusedBy = selection.diagnosis.nodeCount === 0 ? new Set(['NodeName']) : selection.diagnosis.plugins;
      const { nominatedNode } = selection.diagnosis;
      if (nominatedNode) this.nominator.add(info, nominatedNode);
      else if (nominatedNode === '') this.nominator.remove(info.uid);
      this.queue.giveBack(queued, refusedBy);
      this.fail(info, message, nominatedNode);
      return true;
    }
    const { state, nodeName } = selection;
    this.cache.assume(info, nodeName);
    const refused = this.framework.runReserve(state, info, nodeName);
    if (refused) {
      this.cache.forget(info.uid);
      this.queue.giveBack(queued, new Set());
      this.fail(info, refused.reasons.join(', '));
      return true;
    }
    void this.bind(queued, state, nodeName, startedAt);
    return true;
  }

  private wake(): void {
    if (this.scheduled || !this.running) return;
    this.scheduled = true;
    queueMicrotask(() => this.turn());
  }

  private turn(): void {
    this.scheduled = false;
    const until = performance.now() + turnMs;
    while (this.running && this.bindings < maxBindings) {
      if (performance.now() > until) {
        this.scheduled = true;
        setImmediate(() => this.turn());
        return;
      }
      if (!this.scheduleOne()) return;
    }
  }

  private async bind(queued: QueuedPod, state: CycleState, nodeName: string, startedAt: number): Promise<void> {
    const { info } = queued;
    const { metrics, logger, recorder } = this.deps;
    this.bindings++;
    try {
      const refused = await this.framework.runBindingCycle(state, info, nodeName);
      if (refused) return this.unbind(queued, state, nodeName, refused.status.reasons.join(', '));
      this.dequeue(info.uid);
      metrics?.attempts.inc({ result: 'scheduled', profile: 'default-scheduler' });
      metrics?.attemptDuration.observe((this.clock.now() - startedAt) / 1000);
      recorder.record(asPod(info.pod), {
        type: 'Normal',
        reason: 'Scheduled',
        message: `Successfully assigned ${info.key} to ${nodeName}`,
      });
      logger.debug({ pod: info.key, node: nodeName, attempts: queued.attempts }, 'pod bound');
    } catch (err) {
      metrics?.attempts.inc({ result: 'error', profile: 'default-scheduler' });
      if (isReason(err, 'NotFound')) {
        // The pod is gone; the informer will say so too.
        this.framework.runUnreserve(state, info, nodeName);
        this.cache.forget(info.uid);
        this.dequeue(info.uid);
        return;
      }
      logger.warn({ err, pod: info.key, node: nodeName }, 'binding failed');
      this.unbind(queued, state, nodeName, `binding rejected: ${(err as Error).message}`);
    } finally {
      this.bindings--;
      this.wake();
    }
  }

  private unbind(queued: QueuedPod, state: CycleState, nodeName: string, message: string): void {
    const { info } = queued;
    this.framework.runUnreserve(state, info, nodeName);
    this.cache.forget(info.uid);
    // The informer has told meanwhile that the pod is bound after all: the answer got lost, not the request.
    if (this.cache.isPlaced(info.uid)) return this.queue.remove(info.uid);
    this.queue.giveBack(queued, new Set());
    this.queue.moveOn('AssignedPodDelete');
    this.fail(info, message);
  }

  private fail(info: PodInfo, message: string, nominatedNode?: string): void {
    this.deps.recorder.record(asPod(info.pod), { type: 'Warning', reason: 'FailedScheduling', message });
    this.report(info, message, 'Unschedulable', nominatedNode);
  }

  private evict(victim: PodInfo, preemptor: PodInfo, nodeName: string): void {
    const { client, recorder, logger } = this.deps;
    if (victim.pod.metadata.deletionTimestamp) return;
    recorder.record(asPod(victim.pod), {
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
