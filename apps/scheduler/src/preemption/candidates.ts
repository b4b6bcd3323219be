import type { NodeInfo } from '../cache/node-info';
import type { PodInfo } from '../cache/pod-info';
import type { SchedulerCache } from '../cache/scheduler-cache';
import { priorityOf } from '../framework/nominator';
import type { Status } from '../framework/status';
import type { Trial } from '../framework/trial';
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
  return priorityOf(b) - priorityOf(a) || a.startedAt - b.startedAt;
}

/**
 * Takes all less important pods off the node and, where that helps, puts back as many as possible: first those whose
 * budget forbids the disruption, the more important ones first. The cache is as before when it returns.
 * Source: defaultpreemption.SelectVictimsOnNode.
 */
export function findVictims(
  { cache, trial, budgets }: { cache: SchedulerCache; trial: Trial; budgets: Budgets },
  pod: PodInfo,
  node: NodeInfo,
): Candidate | Status | undefined {
  const priority = priorityOf(pod);
  const lower: PodInfo[] = [];
  for (const other of node.pods.values()) if (priorityOf(other) < priority) lower.push(other);
  if (lower.length === 0) return undefined;
  for (const other of lower) cache.lift(other, node);
  const lifted = new Set(lower);
  try {
    const refused = trial(node);
    if (refused) return refused;
    const { violating, allowed } = budgets.split(lower.sort(compareImportance));
    let violations = 0;
    const spare = (other: PodInfo): boolean => {
      cache.putBack(other, node);
      lifted.delete(other);
      if (!trial(node)) return true;
      cache.lift(other, node);
      lifted.add(other);
      return false;
    };
    for (const other of violating) if (!spare(other)) violations++;
    for (const other of allowed) spare(other);
    return { nodeName: node.name, victims: [...lifted].sort(compareImportance), violations };
  } finally {
    for (const other of lifted) cache.putBack(other, node);
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
    const values = left.map(column);
    const best = Math.min(...values);
    left = left.filter((_candidate, i) => values[i] === best);
    if (left.length <= 1) break;
  }
  return left[0];
}

function earliestStart(victims: readonly PodInfo[]): number {
  const highest = victims[0] ? priorityOf(victims[0]) : 0;
  return Math.min(...victims.filter(victim => priorityOf(victim) === highest).map(({ startedAt }) => startedAt));
}
