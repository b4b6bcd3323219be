import { quantityMilliValue, quantityValue, parseNano, type Container, type Pod } from '@naru/api';
import { ContainerConfigError } from './config-error';
import { limitsOf } from './resources';

/** What is known of the pod and node beside the pod's spec. */
export interface PodFacts {
  podIps: readonly string[];
  hostIps: readonly string[];
  nodeName: string;
  /** The node's allocatable, which limits default to: cores in millicores, the rest in bytes. */
  allocatable: { cpu: number; memory: number; 'ephemeral-storage': number };
}

function formatMap(map: Record<string, string> | undefined): string {
  return Object.keys(map ?? {})
    .sort()
    .map(key => `${key}=${JSON.stringify(map?.[key])}`)
    .join('\n');
}

/** The value of a downward API field. Throws ContainerConfigError for a field there is not. */
export function readFieldPath(path: string, pod: Pod, facts: PodFacts): string {
  const subscript = /^(metadata\.(?:labels|annotations))\['(.*)'\]$/.exec(path);
  if (subscript) {
    const map = subscript[1] === 'metadata.labels' ? pod.metadata?.labels : pod.metadata?.annotations;
    return map?.[subscript[2] as string] ?? '';
  }
  switch (path) {
    case 'metadata.name':
      return pod.metadata?.name ?? '';
    case 'metadata.namespace':
      return pod.metadata?.namespace ?? '';
    case 'metadata.uid':
      return pod.metadata?.uid ?? '';
    case 'metadata.labels':
      return formatMap(pod.metadata?.labels);
    case 'metadata.annotations':
      return formatMap(pod.metadata?.annotations);
    case 'spec.nodeName':
      return facts.nodeName;
    case 'spec.serviceAccountName':
      return pod.spec?.serviceAccountName ?? '';
    case 'status.hostIP':
      return facts.hostIps[0] ?? '';
    case 'status.hostIPs':
      return facts.hostIps.join(',');
    case 'status.podIP':
      return facts.podIps[0] ?? '';
    case 'status.podIPs':
      return facts.podIps.join(',');
    default:
      throw new ContainerConfigError(`unsupported fieldPath: ${path}`);
  }
}

interface ResourceField {
  resource: string;
  divisor?: string | undefined;
}

/** `limits.cpu` and its kin, divided and rounded up; an absent limit is that of the pod, or else the node's allocatable. */
export function readResourceField(field: ResourceField, pod: Pod, container: Container, facts: PodFacts): string {
  const [kind = '', ...rest] = field.resource.split('.');
  const name = rest.join('.');
  if ((kind !== 'limits' && kind !== 'requests') || name === '') {
    throw new ContainerConfigError(`unsupported container resource : ${field.resource}`);
  }
  const cpu = name === 'cpu';
  const divisor = !field.divisor || parseNano(field.divisor) === 0n ? '1' : field.divisor;
  const limits = kind === 'limits' ? limitsOf(pod, container) : (container.resources?.limits ?? {});
  const text = kind === 'limits' ? limits[name] : (container.resources?.requests?.[name] ?? limits[name]);
  let amount = text === undefined ? 0 : cpu ? quantityMilliValue(text) : quantityValue(text);
  if (text === undefined && kind === 'limits' && name in facts.allocatable) {
    amount = facts.allocatable[name as keyof PodFacts['allocatable']];
  }
  const unit = cpu ? quantityMilliValue(divisor) : quantityValue(divisor);
  return String(Math.ceil(amount / unit));
}
