import { scaledIntOrPercent, type DaemonSet, type Pod, type Stored } from '@naru/api';
import type { DaemonState } from './daemon-state';

export interface Plan {
  /** Names of nodes that want a pod. */
  create: string[];
  delete: Stored<Pod>[];
  /** Among those to delete: pods that have ended, whose node gets a new one with back-off. */
  ended: Set<Stored<Pod>>;
}

/** One pod on each node that should have one, and none elsewhere. Source: DaemonSetsController.podsShouldBeOnNode. */
export function planPods(state: DaemonState): Plan {
  const plan: Plan = { create: [], delete: [], ended: new Set() };
  for (const { node, fit, pods } of state.nodes) {
    if (fit.shouldRun && pods.length === 0) plan.create.push(node.metadata.name);
    else if (fit.shouldContinue) keepOne(state, pods, plan);
    else plan.delete.push(...pods.filter(pod => !state.isTerminating(pod)));
  }
  for (const pod of state.strays) if (!pod.spec?.nodeName && !state.isTerminating(pod)) plan.delete.push(pod);
  return plan;
}

function keepOne(state: DaemonState, pods: readonly Stored<Pod>[], plan: Plan): void {
  const running: Stored<Pod>[] = [];
  for (const pod of pods) {
    if (state.isTerminating(pod)) continue;
    if (pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded') {
      plan.delete.push(pod);
      plan.ended.add(pod);
    } else running.push(pod);
  }
  if (running.length <= 1) return;
  if (surgeOf(state.set, 1) === 0) {
    plan.delete.push(...running.slice(1));
    return;
  }
  // While surging an old and a new one may run side by side, until the new one can take over.
  const newest = running.filter(state.isUpdated);
  const old = running.filter(pod => !state.isUpdated(pod));
  plan.delete.push(...newest.slice(1), ...old.slice(1));
  const [fresh, stale] = [newest[0], old[0]];
  if (fresh && stale && (!state.isAvailable(stale) || state.isAvailable(fresh))) plan.delete.push(stale);
}

/** How many may be added beside the old ones, of `desired`. */
export function surgeOf(set: DaemonSet, desired: number): number {
  const { type, rollingUpdate } = set.spec?.updateStrategy ?? {};
  if (type === 'OnDelete') return 0;
  return scaledIntOrPercent(rollingUpdate?.maxSurge ?? 0, desired, true);
}

function unavailableOf(set: DaemonSet, desired: number, surge: number): number {
  const most = scaledIntOrPercent(set.spec?.updateStrategy?.rollingUpdate?.maxUnavailable ?? 1, desired, true);
  return surge === 0 && most === 0 ? 1 : most;
}

/** The next step from old pods to new ones, within maxUnavailable or maxSurge. Source: rollingUpdate of the daemon package. */
export function planRollingUpdate(state: DaemonState): Plan {
  const desired = state.nodes.filter(({ fit }) => fit.shouldRun).length;
  const surge = surgeOf(state.set, desired);
  return surge > 0 ? planSurge(state, surge) : planReplacement(state, unavailableOf(state.set, desired, surge));
}

interface OnNode {
  name: string;
  shouldRun: boolean;
  fresh: Stored<Pod> | undefined;
  stale: Stored<Pod> | undefined;
  /** More than one of a kind: planPods cleans up first. */
  unclear: boolean;
}

function podsOnNodes(state: DaemonState): OnNode[] {
  return state.nodes
    .filter(({ pods, fit }) => pods.length > 0 || fit.shouldRun)
    .map(({ node, pods, fit }) => {
      const alive = pods.filter(pod => !state.isTerminating(pod));
      const fresh = alive.filter(state.isUpdated);
      const stale = alive.filter(pod => !state.isUpdated(pod));
      const unclear = fresh.length > 1 || stale.length > 1;
      return { name: node.metadata.name, shouldRun: fit.shouldRun, fresh: fresh[0], stale: stale[0], unclear };
    });
}

function planReplacement(state: DaemonState, maxUnavailable: number): Plan {
  let unavailable = 0;
  const broken: Stored<Pod>[] = [];
  const candidates: Stored<Pod>[] = [];
  for (const { fresh, stale, unclear } of podsOnNodes(state)) {
    if (unclear || (!fresh && !stale) || (fresh && stale)) unavailable++;
    else if (fresh) unavailable += state.isAvailable(fresh) ? 0 : 1;
    else if (stale && !state.isAvailable(stale)) {
      // Replacing what does not work makes nothing worse.
      broken.push(stale);
      unavailable++;
    } else if (stale) candidates.push(stale);
  }
  const room = Math.max(0, maxUnavailable - unavailable);
  return { create: [], delete: [...broken, ...candidates.slice(0, room)], ended: new Set() };
}

function planSurge(state: DaemonState, maxSurge: number): Plan {
  let surging = 0;
  const done: Stored<Pod>[] = [];
  const broken: string[] = [];
  const candidates: string[] = [];
  for (const { name, shouldRun, fresh, stale, unclear } of podsOnNodes(state)) {
    if (unclear) surging++;
    else if (stale && fresh) {
      if (state.isAvailable(fresh)) done.push(stale);
      else surging++;
    } else if (stale && shouldRun) (state.isAvailable(stale) ? candidates : broken).push(name);
  }
  const room = Math.max(0, maxSurge - surging);
  return { create: [...broken, ...candidates.slice(0, room)], delete: done, ended: new Set() };
}
