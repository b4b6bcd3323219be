import type { Clock } from '@naru/foundation';
import type { PodInfo } from '../cache/pod-info';
import type { ClusterChange } from '../framework/types';
import { Heap } from './heap';

/** A pod that waits for its node. */
export interface QueuedPod {
  info: PodInfo;
  attempts: number;
  /** When it was first added; pods of one priority are taken in this order. */
  addedAt: number;
  /** Of the last attempt; the back-off counts from it. */
  attemptedAt: number;
  refusedBy: ReadonlySet<string>;
  where: 'active' | 'backoff' | 'unschedulable' | 'gated' | 'taken' | 'gone';
  /** An event came while the pod was being bound: the refusal that follows may be outdated. */
  stale: boolean;
  /** How many events there had been when it was taken. */
  takenAt: number;
}

export interface QueueOptions {
  clock: Clock;
  initialBackoffMs?: number;
  maxBackoffMs?: number;
  /** After this long an unschedulable pod is tried again whatever happened. Upstream: 5 minutes. */
  maxUnschedulableMs?: number;
  isRelevant(change: ClusterChange, pod: PodInfo, refusedBy: ReadonlySet<string>): boolean;
  /** Called when a pod may be taken. */
  onReady(): void;
}

function priorityOf({ info }: QueuedPod): number {
  return info.pod.spec?.priority ?? 0;
}

/**
 * Pods that wait: `active` ones are ready to be tried, in order of priority and age; `backoff` ones were tried and
 * rest for 1 s, doubling to 10 s; `unschedulable` ones wait for an event that may help. Bounded by the number of pods
 * in the cluster.
 */
export class SchedulingQueue {
  private readonly pods = new Map<string, QueuedPod>();
  /** Entries whose state has changed since stay in the heaps and are passed over. */
  private readonly active = new Heap<QueuedPod>((a, b) =>
    priorityOf(a) === priorityOf(b) ? a.addedAt < b.addedAt : priorityOf(a) > priorityOf(b),
  );
  private readonly waiting = new Set<QueuedPod>();
  private readonly timers = new Map<QueuedPod, () => void>();
  private counts = { active: 0, backoff: 0, unschedulable: 0, gated: 0 };
  private sequence = 0;
  private events = 0;
  /** The number of the last event of each kind. */
  private readonly happened = new Map<ClusterChange['event'], number>();

  constructor(private readonly options: QueueOptions) {}

  /** For the metric scheduler_pending_pods. */
  get pending(): Readonly<{ active: number; backoff: number; unschedulable: number; gated: number }> {
    return this.counts;
  }

  /** A new pod, or a new state of a waiting one. A change of its spec or labels brings it back. */
  add(info: PodInfo, options: { gated: boolean; changed?: boolean }): void {
    const known = this.pods.get(info.uid);
    if (!known) {
      const pod: QueuedPod = {
        info,
        attempts: 0,
        // Pods of one millisecond keep their order.
        addedAt: this.options.clock.now() + (this.sequence++ % 1000) / 1000,
        attemptedAt: 0,
        refusedBy: new Set(),
        where: 'gone',
        stale: false,
        takenAt: 0,
      };
      this.pods.set(info.uid, pod);
      this.put(pod, options.gated ? 'gated' : 'active');
      return;
    }
    known.info = info;
    if (known.where === 'taken') known.stale ||= options.changed ?? false;
    else if (known.where === 'gated' && !options.gated) this.put(known, 'active');
    else if (
      options.changed &&
      known.where === 'unschedulable' &&
      this.options.isRelevant({ event: 'PodUpdate', pod: info }, info, known.refusedBy)
    )
      this.release(known);
  }

  remove(uid: string): void {
    const pod = this.pods.get(uid);
    if (!pod) return;
    this.put(pod, 'gone');
    this.pods.delete(uid);
  }

  get(uid: string): QueuedPod | undefined {
    return this.pods.get(uid);
  }

  /** The next pod to try. It is then `taken` until it is given back or removed. */
  pop(): QueuedPod | undefined {
    for (let pod = this.active.pop(); pod; pod = this.active.pop()) {
      if (pod.where !== 'active') continue;
      this.put(pod, 'taken');
      pod.attempts++;
      pod.attemptedAt = this.options.clock.now();
      pod.stale = false;
      pod.takenAt = this.events;
      return pod;
    }
    return undefined;
  }

  /** Gives back a pod that found no node (`refusedBy` says why) or whose binding failed (empty: only back-off helps). */
  giveBack(pod: QueuedPod, refusedBy: ReadonlySet<string>): void {
    if (pod.where !== 'taken') return;
    pod.refusedBy = refusedBy;
    if (refusedBy.size === 0 || pod.stale || this.hasMissed(pod)) this.release(pod);
    else this.put(pod, 'unschedulable');
  }

  /** Brings back the pods for which the change may make a difference. */
  moveOn(change: ClusterChange): void {
    this.happened.set(change.event, ++this.events);
    for (const pod of this.waiting) if (this.options.isRelevant(change, pod.info, pod.refusedBy)) this.release(pod);
  }

  /** Something that may help has happened while the pod was being tried: postFilter plugins and extenders take their time. */
  private hasMissed({ takenAt, info, refusedBy }: QueuedPod): boolean {
    return [...this.happened].some(
      ([event, at]) => at > takenAt && this.options.isRelevant({ event }, info, refusedBy),
    );
  }

  stop(): void {
    for (const cancel of this.timers.values()) cancel();
    this.timers.clear();
  }

  /** To `active` when the back-off is over, else to `backoff` until it is. */
  private release(pod: QueuedPod): void {
    const { clock, initialBackoffMs = 1_000, maxBackoffMs = 10_000 } = this.options;
    const backoffMs = Math.min(initialBackoffMs * 2 ** Math.min(pod.attempts - 1, 20), maxBackoffMs);
    const restMs = pod.attempts === 0 ? 0 : pod.attemptedAt + backoffMs - clock.now();
    if (restMs <= 0) return this.put(pod, 'active');
    this.put(pod, 'backoff');
    this.timers.set(
      pod,
      clock.after(restMs, () => this.put(pod, 'active')),
    );
  }

  private put(pod: QueuedPod, where: QueuedPod['where']): void {
    this.timers.get(pod)?.();
    this.timers.delete(pod);
    this.waiting.delete(pod);
    if (pod.where in this.counts) this.counts[pod.where as keyof typeof this.counts]--;
    if (where in this.counts) this.counts[where as keyof typeof this.counts]++;
    pod.where = where;
    if (where === 'active') {
      this.active.push(pod);
      this.options.onReady();
    } else if (where === 'unschedulable') {
      this.waiting.add(pod);
      const { clock, maxUnschedulableMs = 300_000 } = this.options;
      this.timers.set(
        pod,
        clock.after(maxUnschedulableMs, () => this.release(pod)),
      );
    }
  }
}
