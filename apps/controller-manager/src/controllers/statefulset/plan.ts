import type { Pod, StatefulSet, Stored } from '@naru/api';
import { isFinished, isPodAvailable, isPodReady } from '../../pods/pod-state';
import { ordinalOf, revisionOfPod, startOrdinal, wantedOrdinals } from './identity';

export interface SetView {
  set: Stored<StatefulSet>;
  pods: readonly Stored<Pod>[];
  /** Names of revisions. */
  currentRevision: string;
  updateRevision: string;
  /** Deleted a moment ago, though the pod does not show it yet. */
  isDeleted(uid: string): boolean;
  now: number;
}

export interface SetPlan {
  /** Ordinals. */
  create: number[];
  delete: Stored<Pod>[];
}

/** True for a pod that is on its way out. */
export function isLeaving(view: SetView, pod: Stored<Pod>): boolean {
  return !!pod.metadata.deletionTimestamp || view.isDeleted(pod.metadata.uid);
}

/** The pods beyond what the set wants, highest ordinal first. */
export function condemnedPods({ set, pods }: Pick<SetView, 'set' | 'pods'>): Stored<Pod>[] {
  const start = startOrdinal(set);
  const end = start + (set.spec?.replicas ?? 1);
  return pods
    .map(pod => ({ pod, ordinal: ordinalOf(set, pod) ?? -1 }))
    .filter(({ ordinal }) => ordinal < start || ordinal >= end)
    .sort((a, b) => b.ordinal - a.ordinal)
    .map(({ pod }) => pod);
}

function isHealthy(view: SetView, pod: Stored<Pod>): boolean {
  return pod.status?.phase === 'Running' && isPodReady(pod) && !isLeaving(view, pod);
}

function isAvailable(view: SetView, pod: Stored<Pod>): boolean {
  return isHealthy(view, pod) && isPodAvailable(pod, view.set.spec?.minReadySeconds ?? 0, view.now);
}

/**
 * The next step of a set: one pod at a time where it is ordered, all at once where it is parallel; updates are one at a
 * time in any case, from the highest ordinal down. Source: statefulset.updateStatefulSet.
 */
export function planSet(view: SetView): SetPlan {
  const ordered = view.set.spec?.podManagementPolicy !== 'Parallel';
  const plan: SetPlan = { create: [], delete: [] };
  const byOrdinal = new Map(view.pods.map(pod => [ordinalOf(view.set, pod), pod]));
  for (const ordinal of wantedOrdinals(view.set)) {
    const pod = byOrdinal.get(ordinal);
    if (!pod) plan.create.push(ordinal);
    else if (isFinished(pod) && !isLeaving(view, pod)) plan.delete.push(pod);
    else if (isAvailable(view, pod)) continue;
    // What was just begun, or is not well, is waited for.
    if (ordered) return plan;
  }
  const shrink = planShrink(view, ordered);
  plan.delete.push(...shrink.delete);
  if (shrink.wait || plan.create.length > 0 || plan.delete.length > 0) return plan;
  if (view.set.spec?.updateStrategy?.type === 'OnDelete') return plan;
  return planUpdate(view, byOrdinal);
}

function planShrink(view: SetView, ordered: boolean): { delete: Stored<Pod>[]; wait: boolean } {
  const condemned = condemnedPods(view);
  if (!ordered) return { delete: condemned.filter(pod => !isLeaving(view, pod)), wait: false };
  const [highest] = condemned;
  if (!highest) return { delete: [], wait: false };
  // One that is not well may go only when it is the first of those: what waits below it is not to be lost as well.
  const sick = condemned.filter(pod => !isHealthy(view, pod));
  if (sick.includes(highest) && sick.at(-1) !== highest) return { delete: [], wait: true };
  return { delete: isLeaving(view, highest) ? [] : [highest], wait: true };
}

function planUpdate(view: SetView, byOrdinal: Map<number | undefined, Stored<Pod>>): SetPlan {
  const partition = view.set.spec?.updateStrategy?.rollingUpdate?.partition ?? 0;
  const targets = wantedOrdinals(view.set).slice(partition).toReversed();
  for (const ordinal of targets) {
    const pod = byOrdinal.get(ordinal);
    if (!pod) break;
    if (revisionOfPod(pod) !== view.updateRevision && !isLeaving(view, pod)) return { create: [], delete: [pod] };
    if (!isAvailable(view, pod)) break;
  }
  return { create: [], delete: [] };
}

/** Whether a new pod with that ordinal is to be of the revision before the update. */
export function wantsCurrentRevision(set: StatefulSet, ordinal: number): boolean {
  const { type, rollingUpdate } = set.spec?.updateStrategy ?? {};
  if (type !== 'RollingUpdate') return false;
  const bound = rollingUpdate ? (rollingUpdate.partition ?? 0) : (set.status?.currentReplicas ?? 0);
  return ordinal < startOrdinal(set) + bound;
}
