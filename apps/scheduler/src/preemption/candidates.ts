import type { NodeInfo } from '../cache/node-info';
import type { PodInfo } from '../cache/pod-info';
import { priorityOf } from '../framework/nominator';
import type { Status } from '../framework/status';
import type { Handle } from '../framework/types';
import type { Budgets } from './budgets';

/** A node that the pod fits on without some of its pods. */
export interface Candidate {
  nodeName: string;
  /** The most important first. */
  victims: PodInfo[];
  /** Victims whose disruption budget does not allow it. */
  violations: number;
}

/** Positive when `a` is the less important pod: of lower priority, or as long as these are equal, started later. */
export function compareImportance(a: PodInfo, b: PodInfo): number {
  return priorityOf(b) - priorityOf(a) || startOf(a) - startOf(b);
}

export function startOf({ pod }: PodInfo): number {
  return Date.parse(pod.status?.startTime ?? pod.metadata.creationTimestamp ?? '') || 0;
}

/**
 * Takes all less important pods off the node and, where that helps, puts back as many as possible: first those whose
 * budget forbids the disruption, the more important ones first. The cache is as before when it returns.
 * Source: defaultpreemption.SelectVictimsOnNode.
 */
export function findVictims(
  { cache, trial }: Pick<Handle, 'cache' | 'trial'>,
  pod: PodInfo,
  node: NodeInfo,
  budgets: Budgets,
): Candidate | Status | undefined {
  const lower = [...node.pods.values()].filter(other => priorityOf(other) < priorityOf(pod));
  if (lower.length === 0) return undefined;
  const lifted = new Map(lower.map(other => [other.uid, cache.lift(other.uid)]));
  const restore = (uid: string): void => {
    lifted.get(uid)?.();
    lifted.delete(uid);
  };
  try {
    const refused = trial(pod, node);
    if (refused) return refused;
    const { violating, allowed } = budgets.split(lower.sort(compareImportance));
    const victims: PodInfo[] = [];
    let violations = 0;
    for (const other of [...violating, ...allowed]) {
      restore(other.uid);
      if (!trial(pod, node)) continue;
      lifted.set(other.uid, cache.lift(other.uid));
      victims.push(other);
      if (violating.includes(other)) violations++;
    }
    return { nodeName: node.name, victims: victims.sort(compareImportance), violations };
  } finally {
    for (const uid of [...lifted.keys()]) restore(uid);
  }
}

/** Which node to clear: the one where the least is lost. Source: preemption.pickOneNodeForPreemption. */
export function chooseCandidate(candidates: readonly Candidate[]): Candidate | undefined {
  // Compared column by column; the lower value wins.
  const columns: ((candidate: Candidate) => number)[] = [
    ({ violations }) => violations,
    ({ victims }) => (victims[0] ? priorityOf(victims[0]) : -Infinity),
    // So that fewer victims of negative priority are better than more.
    ({ victims }) => victims.reduce((sum, victim) => sum + priorityOf(victim) + 2 ** 31, 0),
    ({ victims }) => victims.length,
    ({ victims }) => -earliestStart(victims),
  ];
  let left = [...candidates];
  for (const column of columns) {
    const best = Math.min(...left.map(column));
    left = left.filter(candidate => column(candidate) === best);
    if (left.length <= 1) break;
  }
  return left[0];
}

function earliestStart(victims: readonly PodInfo[]): number {
  const highest = victims[0] ? priorityOf(victims[0]) : 0;
  return Math.min(...victims.filter(victim => priorityOf(victim) === highest).map(startOf));
}
