import { podRequests, qosClassOf, type Pod, type QosClass } from '@naru/api';
import { isCritical } from './critical-pod';

/** How much of a resource a pod lacks. */
export interface Shortage {
  name: string;
  /** In the units of `podRequests`. */
  amount: number;
}

/** The pod may push the other one out. Source: pkg/kubelet/types Preemptable. */
function mayPreempt(pod: Pod, other: Pod): boolean {
  if (isCritical(pod) && !isCritical(other)) return true;
  return (pod.spec?.priority ?? 0) > (other.spec?.priority ?? 0);
}

function requestOf(pod: Pod, name: string): number {
  return name === 'pods' ? 1 : (podRequests(pod).get(name) ?? 0);
}

/** What is still lacking when these pods are gone. */
function without(shortages: readonly Shortage[], pods: readonly Pod[]): Shortage[] {
  return shortages
    .map(({ name, amount }) => ({ name, amount: pods.reduce((left, pod) => left - requestOf(pod, name), amount) }))
    .filter(({ amount }) => amount > 0);
}

/** How far a pod's end would leave us from what is lacking; every resource counts alike. */
function distance(shortages: readonly Shortage[], pod: Pod): number {
  return shortages.reduce(
    (sum, { name, amount }) => sum + (Math.max(0, amount - requestOf(pod, name)) / amount) ** 2,
    0,
  );
}

function isSmaller(pod: Pod, other: Pod): boolean {
  for (const name of ['memory', 'cpu']) {
    const difference = requestOf(pod, name) - requestOf(other, name);
    if (difference !== 0) return difference < 0;
  }
  return true;
}

/** Few pods that together make up for what is lacking, each the one that brings us closest. */
function closest(pods: readonly Pod[], shortages: readonly Shortage[]): Pod[] {
  const left = [...pods];
  const chosen: Pod[] = [];
  for (let missing = [...shortages]; missing.length > 0 && left.length > 0;) {
    const best = left.reduce((found, pod) => {
      const difference = distance(missing, pod) - distance(missing, found);
      return difference < 0 || (difference === 0 && isSmaller(pod, found)) ? pod : found;
    });
    left.splice(left.indexOf(best), 1);
    chosen.push(best);
    missing = without(missing, [best]);
  }
  return chosen;
}

/**
 * The pods that have to end so that a critical one finds room: as few as can be of the better classes, then as few as can be.
 * Throws when all together would not be enough. Source: pkg/kubelet/preemption.
 */
export function podsToPreempt(pod: Pod, others: readonly Pod[], shortages: readonly Shortage[]): Pod[] {
  const open = others.filter(other => mayPreempt(pod, other));
  const missing = without(shortages, open);
  if (missing.length > 0) {
    const list = missing.map(({ name, amount }) => `(res: ${name}, q: ${amount}), `).join('');
    throw new Error(
      `preemption: error finding a set of pods to preempt: no set of running pods found to reclaim resources: [${list}]`,
    );
  }
  const of = (qos: QosClass): Pod[] => open.filter(other => qosClassOf(other) === qos);
  const [bestEffort, burstable] = [of('BestEffort'), of('Burstable')];
  const guaranteedOut = closest(of('Guaranteed'), without(shortages, [...bestEffort, ...burstable]));
  const burstableOut = closest(burstable, without(shortages, [...bestEffort, ...guaranteedOut]));
  const bestEffortOut = closest(bestEffort, without(shortages, [...burstableOut, ...guaranteedOut]));
  return [...bestEffortOut, ...burstableOut, ...guaranteedOut];
}
