import { hasPodLevelResources, qosClassOf, quantityValue, type Container, type Pod } from '@naru/api';
import { isSidecar } from '../pods/restart-rule';

const bytes = (text: string | undefined): number => (text === undefined ? 0 : quantityValue(text));

const memoryRequest = ({ resources }: Container): number =>
  bytes(resources?.requests?.['memory'] ?? resources?.limits?.['memory']);

/** What the pod requests as a whole and no container for itself is shared by all alike. */
function shareOfPod({ spec }: Pod): number {
  const lasting = [...(spec?.containers ?? []), ...(spec?.initContainers ?? []).filter(isSidecar)];
  const own = lasting.reduce((sum, container) => sum + memoryRequest(container), 0);
  return Math.max(0, Math.trunc((bytes(spec?.resources?.requests?.['memory']) - own) / lasting.length));
}

/**
 * How willingly the kernel kills a container when memory runs out: -997 to 1000.
 * Source: pkg/kubelet/qos.GetContainerOOMScoreAdjust.
 */
export function oomScoreAdj(pod: Pod, container: Container, memoryCapacityBytes: number): number {
  if (pod.spec?.priorityClassName === 'system-node-critical') return -997;
  const qos = qosClassOf(pod);
  if (qos === 'Guaranteed') return -997;
  if (qos === 'BestEffort') return 1000;
  const request = memoryRequest(container) + (hasPodLevelResources(pod) ? shareOfPod(pod) : 0);
  const score = Math.trunc(1000 - (1000 * request) / memoryCapacityBytes);
  if (score < 1000 + -997) return 3;
  return score === 1000 ? 999 : score;
}
