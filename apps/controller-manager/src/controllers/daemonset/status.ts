import type { DaemonSet } from '@naru/api';
import { isPodReady } from '../../pods/pod-state';
import type { DaemonState } from './daemon-state';

export type DaemonSetStatus = NonNullable<DaemonSet['status']>;

/** Counts nodes by the oldest pod that each has. */
export function daemonSetStatus(state: DaemonState, collisionCount: number | undefined): DaemonSetStatus {
  const counts = { desired: 0, current: 0, misscheduled: 0, ready: 0, available: 0, updated: 0 };
  for (const { fit, pods } of state.nodes) {
    const [pod] = pods;
    if (!fit.shouldRun) {
      if (pod) counts.misscheduled++;
      continue;
    }
    counts.desired++;
    if (!pod) continue;
    counts.current++;
    const shown = pods.find(candidate => isPodReady(candidate)) ?? pod;
    if (isPodReady(shown)) {
      counts.ready++;
      if (state.isAvailable(shown)) counts.available++;
    }
    // While surging, the node counts as updated when the old pod has gone.
    if (pods.every(state.isUpdated)) counts.updated++;
  }
  const { metadata, status } = state.set;
  return {
    currentNumberScheduled: counts.current,
    desiredNumberScheduled: counts.desired,
    numberMisscheduled: counts.misscheduled,
    numberReady: counts.ready,
    ...(counts.available > 0 ? { numberAvailable: counts.available } : {}),
    ...(counts.desired > counts.available ? { numberUnavailable: counts.desired - counts.available } : {}),
    ...(counts.updated > 0 ? { updatedNumberScheduled: counts.updated } : {}),
    observedGeneration: metadata.generation,
    ...(collisionCount ? { collisionCount } : {}),
    ...(status?.conditions ? { conditions: status.conditions } : {}),
  };
}
