import type { Pod, ResourceClaim, Stored } from '../types';

type PodClaim = NonNullable<NonNullable<Pod['spec']>['resourceClaims']>[number];

/** Keeps an allocated claim until its devices are free again. */
export const claimFinalizer = 'resource.kubernetes.io/delete-protection';

/** On a claim that was made from a template: the name that the pod has for it. */
export const podClaimAnnotation = 'resource.kubernetes.io/pod-claim-name';

/** More pods than this cannot share a claim. */
export const maxReservations = 256;

/**
 * The name of the ResourceClaim behind an entry of a pod's `spec.resourceClaims`. Undefined: the claim of a template is not there yet;
 * null: the pod needs none for this entry. Source: dynamic-resource-allocation/resourceclaim.Name.
 */
export function resourceClaimName({ status }: Pod, entry: PodClaim): string | null | undefined {
  if (entry.resourceClaimName !== undefined) return entry.resourceClaimName;
  const made = status?.resourceClaimStatuses?.find(({ name }) => name === entry.name);
  return made && (made.resourceClaimName ?? null);
}

/** All claims of a pod, as far as they are there: also that for its extended resources. */
export function claimNames(pod: Pod): string[] {
  const { extendedResourceClaimStatus } = pod.status ?? {};
  const named = (pod.spec?.resourceClaims ?? []).map(entry => resourceClaimName(pod, entry));
  return [...named, extendedResourceClaimStatus?.resourceClaimName].flatMap(name => name || []);
}

/** The claim belongs to the pod: it was made from a template for it, and goes with it. */
export function isMadeFor({ metadata }: Stored<Pod>, claim: ResourceClaim): boolean {
  return claim.metadata?.ownerReferences?.some(({ uid, controller }) => controller && uid === metadata.uid) ?? false;
}

/** False for a claim of the right name that somebody else has made: the pod must not take it. */
export function isResourceClaimOf(pod: Stored<Pod>, entry: PodClaim, claim: ResourceClaim): boolean {
  return entry.resourceClaimTemplateName === undefined || isMadeFor(pod, claim);
}

export function isClaimReservedFor({ status }: ResourceClaim, { metadata }: Stored<Pod>): boolean {
  return status?.reservedFor?.some(({ uid }) => uid === metadata.uid) ?? false;
}
