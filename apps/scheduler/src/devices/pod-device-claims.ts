import {
  isClaimReservedFor,
  isResourceClaimOf,
  maxReservations,
  resourceClaimName,
  type Pod,
  type ResourceClaim,
  type Stored,
} from '@naru/api';
import type { DeviceView } from './device-view';

export function usesDevices({ spec }: Pod): boolean {
  return (spec?.resourceClaims?.length ?? 0) > 0;
}

/** Answers why the pod cannot run anywhere yet, or its claims, each once. Source: plugins/dynamicresources PreFilter. */
export function deviceClaimsOf(pod: Stored<Pod>, { claims }: DeviceView): Stored<ResourceClaim>[] | string {
  const found = new Map<string, Stored<ResourceClaim>>();
  const { namespace, name: podName } = pod.metadata;
  for (const entry of pod.spec?.resourceClaims ?? []) {
    const name = resourceClaimName(pod, entry);
    if (name === null) continue;
    if (name === undefined)
      return `waiting for dynamic resource controller to create the resourceclaim of "${entry.name}"`;
    const claim = claims.get({ namespace, name });
    if (!claim) return `resourceclaim.resource.k8s.io "${name}" not found`;
    if (claim.metadata.deletionTimestamp) return `resourceclaim "${name}" is being deleted`;
    if (!isResourceClaimOf(pod, entry, claim))
      return `ResourceClaim ${namespace ?? ''}/${name} was not created for pod ${namespace ?? ''}/${podName} (pod is not owner)`;
    const isFull = (claim.status?.reservedFor?.length ?? 0) >= maxReservations;
    if (isFull && !isClaimReservedFor(claim, pod)) return 'resourceclaim in use';
    found.set(claim.metadata.uid, claim);
  }
  return [...found.values()];
}
