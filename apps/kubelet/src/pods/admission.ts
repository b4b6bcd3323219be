import {
  compileNodeDemand,
  findUntoleratedTaint,
  hostPortsConflict,
  hostPortsOf,
  podRequests,
  resourceAmounts,
  withResourcesInUse,
  type Node,
  type Pod,
} from '@naru/api';

/** Why this node does not take a pod, in upstream's words. */
export interface Rejection {
  reason: string;
  message: string;
}

export const rejection = (reason: string, why: string): Rejection => ({ reason, message: `Pod was rejected: ${why}` });

export function isTerminal(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

/** The one test of what the scheduler should have seen to already. Source: pkg/kubelet/lifecycle/predicate.go. */
export function admit(pod: Pod, node: Node, others: readonly Pod[], isStatic = false): Rejection | undefined {
  const demand = compileNodeDemand(pod.spec);
  if (demand && !demand(node)) {
    const why = "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector";
    return rejection('NodeAffinity', why);
  }
  if (pod.spec?.os?.name && pod.spec.os.name !== 'linux') {
    return rejection('PodOSNotSupported', "Failed to admit pod as the OS field doesn't match node OS");
  }
  const strict = pod.spec?.securityContext?.supplementalGroupsPolicy === 'Strict';
  if (strict && !node.status?.features?.supplementalGroupsPolicy) {
    const why = 'SupplementalGroupsPolicy=Strict is not supported in this node';
    return rejection('SupplementalGroupsPolicyNotSupported', why);
  }
  // Only NoExecute: NoSchedule is the scheduler's business, and static pods tolerate everything.
  const taint = isStatic ? undefined : findUntoleratedTaint(node.spec?.taints, pod.spec?.tolerations, ['NoExecute']);
  if (taint) {
    return rejection(
      'TaintToleration',
      `Predicate TaintToleration failed: node(s) had untolerated taint {${taint.key}: ${taint.value ?? ''}}`,
    );
  }
  if (lacksHostPort(pod, others)) {
    const why = "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports";
    return rejection('NodePorts', why);
  }
  const missing = missingResource(pod, node, others);
  return missing && rejection(`OutOf${missing.name}`, missing.why);
}

function lacksHostPort(pod: Pod, others: readonly Pod[]): boolean {
  const wanted = hostPortsOf(pod);
  if (wanted.length === 0) return false;
  const taken = others.flatMap(hostPortsOf);
  return wanted.some(port => taken.some(other => hostPortsConflict(port, other)));
}

/** Counted for the whole cluster, or by a device plugin: a node that does not know one has no say in it. */
const isExtended = (resource: string): boolean => resource.includes('/') && !resource.startsWith('kubernetes.io/');

/** The first resource that a pod requests and the node has not got left beside `others`. */
export function missingResource(
  pod: Pod,
  node: Node,
  others: readonly Pod[],
): { name: string; why: string } | undefined {
  return insufficientResources(pod, node, others)[0];
}

/** Every such resource, with how much of it is lacking. */
export function insufficientResources(
  pod: Pod,
  node: Node,
  others: readonly Pod[],
): { name: string; why: string; amount: number }[] {
  const allocatable = resourceAmounts(node.status?.allocatable);
  const requested = podRequests(pod);
  requested.set('pods', 1);
  // A container that is to have less may still have more.
  const taken = others.map(other => podRequests(withResourcesInUse(other)));
  const { requestMappings = [] } = pod.status?.extendedResourceClaimStatus ?? {};
  const ofClaim = new Set(requestMappings.map(({ resourceName }) => resourceName));
  return [...requested].flatMap(([name, amount]) => {
    if (amount === 0 || ofClaim.has(name) || (isExtended(name) && !allocatable.has(name))) return [];
    const capacity = allocatable.get(name) ?? 0;
    const used = taken.reduce((sum, amounts) => sum + (name === 'pods' ? 1 : (amounts.get(name) ?? 0)), 0);
    if (used + amount <= capacity) return [];
    const why = `Node didn't have enough resource: ${name}, requested: ${amount}, used: ${used}, capacity: ${capacity}`;
    return [{ name, why, amount: used + amount - capacity }];
  });
}
