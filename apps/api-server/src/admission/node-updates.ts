import { isDeepStrictEqual } from 'node:util';
import type { KubeObject, Node, Pod } from '@naru/api';

/** What upstream lets a kubelet say of itself, besides labels outside of Kubernetes' own domains. */
const kubeletLabels = new Set([
  'kubernetes.io/hostname',
  'kubernetes.io/os',
  'kubernetes.io/arch',
  'beta.kubernetes.io/os',
  'beta.kubernetes.io/arch',
  'beta.kubernetes.io/instance-type',
  'failure-domain.beta.kubernetes.io/zone',
  'failure-domain.beta.kubernetes.io/region',
  'topology.kubernetes.io/zone',
  'topology.kubernetes.io/region',
]);
const kubeletDomains = ['kubelet.kubernetes.io', 'node.kubernetes.io'];
const reservedDomains = ['kubernetes.io', 'k8s.io'];

const isWithin = (domain: string, parents: readonly string[]): boolean =>
  parents.some(parent => domain === parent || domain.endsWith(`.${parent}`));

function mayLabel(label: string): boolean {
  const domain = label.includes('/') ? label.slice(0, label.indexOf('/')) : '';
  if (!isWithin(domain, reservedDomains)) return true;
  return kubeletLabels.has(label) || isWithin(domain, kubeletDomains);
}

/** Labels that differ, sorted. */
function changedLabels(next: KubeObject, old: KubeObject | undefined): string[] {
  const after = next.metadata?.labels ?? {};
  const before = old?.metadata?.labels ?? {};
  return [...new Set([...Object.keys(after), ...Object.keys(before)])]
    .filter(label => after[label] !== before[label])
    .sort();
}

/** Why a node may not write its Node so, in upstream's words; `old` is absent when it registers. */
export function nodeProblem(node: string, next: Node, old: Node | undefined): string | undefined {
  const forbiddenLabels = changedLabels(next, old).filter(label => !mayLabel(label));
  if (!old)
    return forbiddenLabels.length === 0
      ? undefined
      : `node "${node}" is not allowed to set the following labels: ${forbiddenLabels.join(', ')}`;
  if (!isSame(next.spec?.taints, old.spec?.taints)) return `node "${node}" is not allowed to modify taints`;
  if (forbiddenLabels.length > 0)
    return `node "${node}" is not allowed to modify labels: ${forbiddenLabels.join(', ')}`;
  if (!isSame(next.metadata?.ownerReferences, old.metadata?.ownerReferences))
    return `node "${node}" is not allowed to modify ownerReferences`;
  return undefined;
}

/** Why a node may not write a pod's status so: a claim that the status names it might read. */
export function podStatusProblem(node: string, next: Pod, old: Pod | undefined): string | undefined {
  if (changedLabels(next, old).length > 0) return `node "${node}" cannot update labels through pod status`;
  const claims = ({ status }: Pod) => [...(status?.resourceClaimStatuses ?? []), status?.extendedResourceClaimStatus];
  return isSame(claims(next), old && claims(old)) ? undefined : `node "${node}" cannot update resource claim statuses`;
}

function isSame(one: readonly unknown[] | undefined, other: readonly unknown[] | undefined): boolean {
  // Both as they would be stored: what is undefined is not there.
  const stored = (list: readonly unknown[] | undefined): unknown => JSON.parse(JSON.stringify(list ?? []));
  return isDeepStrictEqual(stored(one), stored(other));
}
