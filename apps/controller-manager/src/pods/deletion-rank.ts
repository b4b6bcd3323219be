import type { Pod, Stored } from '@naru/api';
import { isPodReady, podCondition } from './pod-state';

const phases = ['Pending', 'Unknown', 'Running'];
const costAnnotation = 'controller.kubernetes.io/pod-deletion-cost';

function costOf(pod: Pod): number {
  const cost = Number(pod.metadata?.annotations?.[costAnnotation] ?? 0);
  return Number.isInteger(cost) ? cost : 0;
}

function restartsOf(pod: Pod): number {
  return (pod.status?.containerStatuses ?? []).reduce((max, { restartCount = 0 }) => Math.max(max, restartCount), 0);
}

/** Ages are compared by their order of magnitude, so that among many of about one age the choice is spread. */
function logAge(time: string | undefined, now: number): number {
  const ageMs = now - Date.parse(time ?? '');
  return ageMs > 0 ? Math.floor(Math.log2(ageMs * 1e6)) : 0;
}

/**
 * Orders pods so that the first are the ones to delete when there are too many. `crowding` says how many related active
 * pods a pod's node has. Source: controller.ActivePodsWithRanks with LogarithmicScaleDown.
 */
export function rankForDeletion(
  candidates: readonly Stored<Pod>[],
  crowding: (pod: Stored<Pod>) => number,
  now: number,
): Stored<Pod>[] {
  const facts = new Map(
    candidates.map(pod => {
      const ready = isPodReady(pod);
      // Lower comes first; compared column by column.
      const columns = [
        pod.spec?.nodeName ? 1 : 0,
        phases.indexOf(pod.status?.phase ?? 'Pending'),
        ready ? 1 : 0,
        costOf(pod),
        -crowding(pod),
        ready ? logAge(podCondition(pod, 'Ready')?.lastTransitionTime, now) : 0,
        -restartsOf(pod),
        logAge(pod.metadata.creationTimestamp, now),
      ];
      return [pod, columns] as const;
    }),
  );
  return [...candidates].sort((a, b) => {
    const left = facts.get(a) ?? [];
    const right = facts.get(b) ?? [];
    for (const [i, value] of left.entries()) if (value !== right[i]) return value - (right[i] ?? 0);
    return a.metadata.uid < b.metadata.uid ? -1 : 1;
  });
}
