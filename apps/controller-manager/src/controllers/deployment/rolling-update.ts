import type { Deployment, ReplicaSet, Stored } from '@naru/api';

/** Name of a ReplicaSet → its new spec.replicas. */
export type Scaling = Map<string, number>;

/** An int-or-percent of `total`. */
function scaled(
  value: number | string | undefined,
  total: number,
  round: (n: number) => number,
  fallback: number,
): number {
  if (value === undefined) return round((total * fallback) / 100);
  if (typeof value === 'number') return value;
  const percent = /^(\d+)%$/.exec(value);
  return percent ? round((total * Number(percent[1])) / 100) : Number(value) || 0;
}

/** maxSurge rounded up and maxUnavailable rounded down; both 0 would never move, so then one may be unavailable. */
export function resolveFenceposts(deployment: Deployment): { maxSurge: number; maxUnavailable: number } {
  const desired = desiredOf(deployment);
  if (deployment.spec?.strategy?.type === 'Recreate') return { maxSurge: 0, maxUnavailable: 0 };
  const { maxSurge, maxUnavailable } = deployment.spec?.strategy?.rollingUpdate ?? {};
  const surge = scaled(maxSurge, desired, Math.ceil, 25);
  const unavailable = scaled(maxUnavailable, desired, Math.floor, 25);
  return { maxSurge: surge, maxUnavailable: Math.min(surge === 0 && unavailable === 0 ? 1 : unavailable, desired) };
}

export function desiredOf(deployment: Deployment): number {
  return deployment.spec?.replicas ?? 1;
}

export function maxReplicasOf(deployment: Deployment): number {
  return desiredOf(deployment) + resolveFenceposts(deployment).maxSurge;
}

export function replicasOf(set: ReplicaSet): number {
  return set.spec?.replicas ?? 1;
}

function sum(sets: readonly ReplicaSet[], read: (set: ReplicaSet) => number): number {
  return sets.reduce((total, set) => total + read(set), 0);
}

/** How large the new set may be now, growing only. `sets` are all of the Deployment's, `current` is the new one's size. */
export function newSetSize(deployment: Deployment, sets: readonly ReplicaSet[], current: number): number {
  const desired = desiredOf(deployment);
  if (deployment.spec?.strategy?.type === 'Recreate') return desired;
  const room = maxReplicasOf(deployment) - sum(sets, replicasOf);
  return room <= 0 ? current : current + Math.min(room, desired - current);
}

/**
 * By how much the old sets shrink now, keeping desired − maxUnavailable pods available. Pods that are not available
 * go first: they serve nobody. `oldSets` oldest first.
 */
export function shrinkOldSets(
  deployment: Deployment,
  newSet: ReplicaSet,
  oldSets: readonly Stored<ReplicaSet>[],
): Scaling {
  const scaling: Scaling = new Map();
  const sizeOf = (set: Stored<ReplicaSet>): number => scaling.get(set.metadata.name) ?? replicasOf(set);
  const minAvailable = desiredOf(deployment) - resolveFenceposts(deployment).maxUnavailable;
  const newUnavailable = replicasOf(newSet) - (newSet.status?.availableReplicas ?? 0);
  const total = sum(oldSets, replicasOf) + replicasOf(newSet);
  let budget = total - minAvailable - newUnavailable;
  if (budget <= 0) return scaling;
  for (const set of oldSets) {
    const unhealthy = Math.min(budget, replicasOf(set) - (set.status?.availableReplicas ?? 0));
    if (unhealthy <= 0) continue;
    scaling.set(set.metadata.name, replicasOf(set) - unhealthy);
    budget -= unhealthy;
  }
  const available = sum([...oldSets, newSet], set => set.status?.availableReplicas ?? 0);
  let spare = available - minAvailable;
  for (const set of oldSets) {
    const drop = Math.min(sizeOf(set), spare);
    if (drop <= 0) continue;
    scaling.set(set.metadata.name, sizeOf(set) - drop);
    spare -= drop;
  }
  return scaling;
}

/**
 * Spreads a change of spec.replicas in the middle of a roll-out over the sets with pods, in proportion to their sizes;
 * what rounding leaves over goes to the largest. `maxBefore` answers what the Deployment's maximum was when a set was last scaled.
 */
export function scaleProportionally(
  deployment: Deployment,
  active: readonly Stored<ReplicaSet>[],
  maxBefore: (set: Stored<ReplicaSet>) => number,
): Scaling {
  const desired = desiredOf(deployment);
  const max = desired === 0 ? 0 : maxReplicasOf(deployment);
  const toAdd = max - sum(active, replicasOf);
  const age = (set: Stored<ReplicaSet>): number => Date.parse(set.metadata.creationTimestamp ?? '') || 0;
  const newerFirst = toAdd > 0 ? 1 : -1;
  const bySize = [...active].sort((a, b) => replicasOf(b) - replicasOf(a) || newerFirst * (age(b) - age(a)));
  const scaling: Scaling = new Map();
  let added = 0;
  for (const set of bySize) {
    const size = replicasOf(set);
    const fraction = desired === 0 ? -size : Math.round((size * max) / (maxBefore(set) || 1)) - size;
    const left = toAdd - added;
    const change = toAdd === 0 || size === 0 ? 0 : toAdd > 0 ? Math.min(fraction, left) : Math.max(fraction, left);
    scaling.set(set.metadata.name, size + change);
    added += change;
  }
  const [largest] = bySize;
  if (largest && toAdd !== added) {
    const { name } = largest.metadata;
    scaling.set(name, Math.max(0, (scaling.get(name) ?? 0) + toAdd - added));
  }
  return scaling;
}
