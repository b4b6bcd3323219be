import type { Node, Taint } from '@naru/api';
import { formatTime } from '@naru/foundation';

export const notReadyTaint = 'node.kubernetes.io/not-ready';
export const unreachableTaint = 'node.kubernetes.io/unreachable';
export const outOfServiceTaint = 'node.kubernetes.io/out-of-service';

/** Condition type → status → the taint that says so. */
const conditionTaints: Record<string, Record<string, string>> = {
  Ready: { False: notReadyTaint, Unknown: unreachableTaint },
  MemoryPressure: { True: 'node.kubernetes.io/memory-pressure' },
  DiskPressure: { True: 'node.kubernetes.io/disk-pressure' },
  PIDPressure: { True: 'node.kubernetes.io/pid-pressure' },
  NetworkUnavailable: { True: 'node.kubernetes.io/network-unavailable' },
};
const unschedulableTaint = 'node.kubernetes.io/unschedulable';
const ours = new Set([...Object.values(conditionTaints).flatMap(taints => Object.values(taints)), unschedulableTaint]);

export function readyStatus(node: Node): string {
  return node.status?.conditions?.find(({ type }) => type === 'Ready')?.status ?? 'Unknown';
}

/** The NoExecute taint of a node that is not ready. */
export function wantedNoExecute(node: Node): string | undefined {
  return conditionTaints['Ready']?.[readyStatus(node)];
}

function wantedNoSchedule(node: Node): Set<string> {
  const keys = new Set<string>();
  for (const { type, status } of node.status?.conditions ?? []) {
    const key = conditionTaints[type]?.[status];
    if (key) keys.add(key);
  }
  if (!node.status?.conditions?.some(({ type }) => type === 'Ready')) keys.add(notReadyTaint);
  if (node.spec?.unschedulable) keys.add(unschedulableTaint);
  return keys;
}

/**
 * The taints that a node should have: NoSchedule ones as its conditions say, NoExecute for not ready and unreachable.
 * `evict` false leaves a NoExecute taint out that is not there yet (its turn has not come), "never" takes it away.
 * Undefined when the node has them already.
 */
export function desiredTaints(node: Node, evict: boolean | 'never', now: number): Taint[] | undefined {
  const present = node.spec?.taints ?? [];
  const noSchedule = wantedNoSchedule(node);
  const noExecute = evict === 'never' ? undefined : wantedNoExecute(node);
  const has = (key: string, effect: string): boolean =>
    present.some(taint => taint.key === key && taint.effect === effect);
  const kept = present.filter(({ key, effect }) => {
    if (!ours.has(key)) return true;
    if (effect === 'NoSchedule') return noSchedule.has(key);
    if (effect === 'NoExecute' && (key === notReadyTaint || key === unreachableTaint)) return key === noExecute;
    return true;
  });
  const added: Taint[] = [...noSchedule]
    .filter(key => !has(key, 'NoSchedule'))
    .map(key => ({ key, effect: 'NoSchedule', timeAdded: formatTime(now) }));
  if (noExecute && evict === true && !has(noExecute, 'NoExecute'))
    added.push({ key: noExecute, effect: 'NoExecute', timeAdded: formatTime(now) });
  return added.length === 0 && kept.length === present.length ? undefined : [...kept, ...added];
}
