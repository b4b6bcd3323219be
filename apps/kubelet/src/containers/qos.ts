import { quantityMilliValue, quantityValue, type Container, type Pod } from '@naru/api';

export type QosClass = 'Guaranteed' | 'Burstable' | 'BestEffort';

const computed = ['cpu', 'memory'] as const;

function amount(name: string, list: Record<string, string> | undefined): number {
  const text = list?.[name];
  return text === undefined ? 0 : name === 'cpu' ? quantityMilliValue(text) : quantityValue(text);
}

/** The pod's quality of service. Source: component-helpers qos.GetPodQOS. */
export function qosClass(pod: Pod): QosClass {
  const containers: Container[] = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  let any = false;
  let guaranteed = containers.length > 0;
  for (const { resources } of containers) {
    for (const name of computed) {
      const limit = amount(name, resources?.limits);
      const request = resources?.requests?.[name] === undefined ? limit : amount(name, resources.requests);
      if (limit > 0 || request > 0) any = true;
      if (limit === 0 || request !== limit) guaranteed = false;
    }
  }
  if (!any) return 'BestEffort';
  return guaranteed ? 'Guaranteed' : 'Burstable';
}

/**
 * How willingly the kernel kills a container when memory runs out: -997 to 1000.
 * Source: pkg/kubelet/qos.GetContainerOOMScoreAdjust.
 */
export function oomScoreAdj(pod: Pod, container: Container, memoryCapacityBytes: number): number {
  if (pod.spec?.priorityClassName === 'system-node-critical') return -997;
  const qos = qosClass(pod);
  if (qos === 'Guaranteed') return -997;
  if (qos === 'BestEffort') return 1000;
  const { requests, limits } = container.resources ?? {};
  const request = amount('memory', requests?.['memory'] === undefined ? limits : requests);
  const score = Math.trunc(1000 - (1000 * request) / memoryCapacityBytes);
  if (score < 1000 + -997) return 3;
  return score === 1000 ? 999 : score;
}
