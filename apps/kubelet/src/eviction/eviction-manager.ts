import { findUntoleratedTaint, qosClassOf, type Node, type Pod, type Stored } from '@naru/api';
import type { Clock, Logger } from '@naru/foundation';
import { Nudge } from '../nudge';
import type { Rejection } from '../pods/admission';
import { rejection } from '../pods/admission';
import { isCritical } from '../pods/critical-pod';
import type { PodEvents } from '../pods/pod-events';
import type { NodeStats, Summary } from '../stats/summary-types';
import { hasStorageLimit, storageLimitExceeded } from './local-storage';
import { evictionMessage } from './message';
import { observe } from './observe';
import { rankPods, type PodStatsOf } from './ranking';
import {
  pressureOf,
  resourceOf,
  thresholdsMet,
  type Observations,
  type Pressure,
  type Signal,
  type Threshold,
} from './thresholds';

/** A pod that can be made to end. */
export interface EvictablePod {
  uid: string;
  current: Stored<Pod>;
  /** Ends it as Failed; resolves when its containers have ended. */
  evict(verdict: { reason: string; message: string; disruption?: boolean }, graceSeconds: number): Promise<void>;
}

export interface EvictionManagerDeps {
  thresholds: readonly Threshold[];
  /** The node alone, which is cheap; all pods are measured only when something about them matters. */
  nodeStats: () => Promise<NodeStats>;
  summary: () => Promise<Summary>;
  /** All pods are measured at least so often: who wrote how much takes a while to find out, and is wanted at once when a disk is full. */
  measureMs: number;
  /** Pods that run or are about to. */
  activePods: () => EvictablePod[];
  /** Images, layers and containers are on another file system than the pods' files. */
  dedicatedImageFs: () => Promise<boolean>;
  /** Gives back what nobody uses before a pod has to go: dead containers, then images. */
  reclaim: readonly (() => Promise<void>)[];
  /** The node's conditions have changed. */
  onPressure: () => void;
  onEviction: (signal: string) => void;
  node: () => Node | undefined;
  events: PodEvents;
  clock: Clock;
  logger: Logger;
  transitionMs: number;
  maxPodGraceSeconds: number;
  /** Whether pods are held to their storage limits. */
  localStorageIsolation: boolean;
  /** Upstream: 10 s. */
  periodMs?: number;
}

const reason = 'Evicted';
const immediateGraceSeconds = 1;
const cleanUpMs = 30_000;

/** Watches what the node has left, and ends pods before the kernel does. Source: pkg/kubelet/eviction/eviction_manager.go. */
export class EvictionManager {
  private conditions: Pressure[] = [];
  private readonly lastSeen = new Map<Pressure, number>();
  private firstMet = new Map<Threshold, number>();
  private met: Threshold[] = [];
  private measuredAt = 0;
  private readonly pause = new Nudge();

  constructor(private readonly deps: EvictionManagerDeps) {}

  /** What the node suffers from, kept for the transition period after it ends. */
  get pressures(): readonly Pressure[] {
    return this.conditions;
  }

  /** Until the signal; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, logger, periodMs = 10_000 } = this.deps;
    while (!signal.aborted) {
      let evicted = false;
      try {
        evicted = (await this.synchronize()).length > 0;
      } catch (err) {
        logger.warn({ err }, 'eviction was not looked at');
      }
      // After an eviction the next look comes at once: one may not have been enough.
      if (!evicted) await this.pause.wait(periodMs, clock, signal);
    }
  }

  /** Why a pod cannot come to a node under pressure; undefined when it can. */
  admit(pod: Pod): Rejection | undefined {
    if (this.conditions.length === 0 || isCritical(pod)) return undefined;
    if (this.conditions.length === 1 && this.conditions[0] === 'MemoryPressure') {
      if (qosClassOf(pod) !== 'BestEffort') return undefined;
      const taint = { key: 'node.kubernetes.io/memory-pressure', effect: 'NoSchedule' };
      if (!findUntoleratedTaint([taint], pod.spec?.tolerations, ['NoSchedule'])) return undefined;
    }
    return rejection(reason, `The node had condition: [${this.conditions.join(' ')}]. `);
  }

  /** One look, with what follows from it. Resolves with the pods that were ended. */
  async synchronize(): Promise<EvictablePod[]> {
    const { deps } = this;
    const pods = deps.activePods();
    const observations = observe(await deps.nodeStats());
    const due = this.follow(observations);
    const limited = deps.localStorageIsolation && pods.some(({ current }) => hasStorageLimit(current));
    const now = deps.clock.now();
    if (due.length === 0 && !limited && now - this.measuredAt < deps.measureMs) return [];
    this.measuredAt = now;
    const summary = await deps.summary();
    const byUid = new Map(summary.pods.map(stats => [stats.podRef.uid, stats]));
    const statsOf: PodStatsOf = pod => byUid.get(pod.metadata?.uid ?? '');
    const dedicated = await deps.dedicatedImageFs();
    if (limited) {
      const evicted = await this.evictOverLimits(pods, statsOf, dedicated);
      if (evicted.length > 0) return evicted;
    }
    const [threshold] = due.sort(
      (a, b) => Number(resourceOf(b.signal) === 'memory') - Number(resourceOf(a.signal) === 'memory'),
    );
    if (!threshold) return [];
    const resource = resourceOf(threshold.signal);
    deps.logger.info({ resource, signal: threshold.signal }, 'eviction threshold met');
    const node = deps.node();
    if (node) deps.events.node(node, 'Warning', 'EvictionThresholdMet', `Attempting to reclaim ${resource}`);
    if (await this.reclaimed(threshold.signal, dedicated)) return [];
    const candidates = rankPods(
      threshold.signal,
      pods.map(({ current }) => current),
      statsOf,
      dedicated,
    );
    for (const pod of candidates) {
      if (isCritical(pod)) continue;
      const message = evictionMessage(threshold, pod, statsOf(pod), observations);
      const graceSeconds = threshold.graceMs === 0 ? immediateGraceSeconds : deps.maxPodGraceSeconds;
      const found = pods.find(({ uid }) => uid === pod.metadata?.uid) as EvictablePod;
      await this.evict(found, message, graceSeconds, true);
      deps.onEviction(threshold.signal);
      return [found];
    }
    deps.logger.warn({ resource }, 'no pod can be evicted');
    return [];
  }

  /** Keeps the books of thresholds and conditions. Returns the thresholds whose grace period is over. */
  private follow(observations: Observations): Threshold[] {
    const { thresholds, clock, transitionMs, onPressure } = this.deps;
    const now = clock.now();
    const crossed = new Set([
      ...thresholdsMet(thresholds, observations, false),
      ...thresholdsMet(this.met, observations, true),
    ]);
    this.firstMet = new Map([...crossed].map(each => [each, this.firstMet.get(each) ?? now]));
    for (const { signal } of crossed) this.lastSeen.set(pressureOf(signal), now);
    const conditions = [...this.lastSeen]
      .filter(([, at]) => at === now || now - at < transitionMs)
      .map(([name]) => name);
    this.met = [...this.firstMet].filter(([{ graceMs }, at]) => now - at >= graceMs).map(([each]) => each);
    const changed = conditions.join() !== this.conditions.join();
    this.conditions = conditions;
    if (changed) onPressure();
    return [...this.met];
  }

  private async evictOverLimits(
    pods: EvictablePod[],
    statsOf: PodStatsOf,
    dedicated: boolean,
  ): Promise<EvictablePod[]> {
    const evicted: EvictablePod[] = [];
    for (const pod of pods) {
      const stats = statsOf(pod.current);
      const exceeded = stats && storageLimitExceeded(pod.current, stats, dedicated);
      if (!exceeded || isCritical(pod.current)) continue;
      await this.evict(pod, exceeded.message, immediateGraceSeconds, false);
      this.deps.onEviction(exceeded.signal);
      evicted.push(pod);
    }
    return evicted;
  }

  /** True when giving back what nobody uses was enough. */
  private async reclaimed(signal: Signal, dedicatedImageFs: boolean): Promise<boolean> {
    const { reclaim, logger, thresholds, nodeStats } = this.deps;
    const disk = pressureOf(signal) === 'DiskPressure';
    // Images and layers are not on the nodefs then.
    if (!disk || reclaim.length === 0 || (dedicatedImageFs && signal.startsWith('nodefs'))) return false;
    for (const work of reclaim) {
      await work().catch((err: unknown) => logger.warn({ err, signal }, 'node resources not reclaimed'));
    }
    return thresholdsMet(thresholds, observe(await nodeStats()), true).length === 0;
  }

  private async evict(pod: EvictablePod, message: string, graceSeconds: number, disruption: boolean): Promise<void> {
    const { events, clock, logger } = this.deps;
    const { namespace, name } = pod.current.metadata;
    events.pod(pod.current, 'Warning', reason, message);
    logger.info({ namespace, name, uid: pod.uid, reason: message }, 'pod evicted');
    const given = clock.sleep(cleanUpMs).catch(() => undefined);
    await Promise.race([pod.evict({ reason, message, disruption }, graceSeconds), given]);
  }
}
