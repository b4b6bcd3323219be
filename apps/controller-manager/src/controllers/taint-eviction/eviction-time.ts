import { tolerates, type Pod, type Taint } from '@naru/api';

/**
 * When a pod must leave a node with these NoExecute taints, in milliseconds since the epoch; undefined: it may stay for
 * good. Each taint must be tolerated; the shortest tolerationSeconds counts, from when the taint was added or, where it
 * does not say (kubectl writes no time), from when the pod was first seen to be under such taints.
 */
export function evictionTime(pod: Pod, taints: readonly Taint[], seenAt: number): number | undefined {
  const noExecute = taints.filter(({ effect }) => effect === 'NoExecute');
  if (noExecute.length === 0) return undefined;
  const tolerations = pod.spec?.tolerations ?? [];
  let time: number | undefined;
  for (const taint of noExecute) {
    const matching = tolerations.filter(toleration => tolerates(toleration, taint));
    if (matching.length === 0) return seenAt;
    const limits = matching.map(({ tolerationSeconds }) => tolerationSeconds).filter(seconds => seconds !== undefined);
    if (limits.length === 0) continue;
    const since = taint.timeAdded ? Date.parse(taint.timeAdded) : seenAt;
    const until = since + Math.max(0, Math.min(...limits)) * 1000;
    time = Math.min(time ?? Infinity, until);
  }
  return time;
}
