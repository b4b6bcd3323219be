import {
  apiVersionOf,
  claimFinalizer,
  isClaimReservedFor,
  pods,
  resourceClaims,
  type Pod,
  type ResourceClaim,
  type Stored,
} from '@naru/api';
import type { ObjectsClient } from '@naru/client';
import { isReason } from '@naru/foundation';
import type { AllocationResult } from './device-view';
import type { RequestMapping } from './extended-requests';

const maxAttempts = 5;

async function withRetry<T>(attempt: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      if (!isReason(error, 'Conflict') || tries === maxAttempts) throw error;
    }
  }
}

/**
 * Writes down that the pod uses the claim, and the devices that were found for one without. Answers with the claim as it is then,
 * undefined when somebody else has meanwhile allocated, replaced or deleted it: what was decided on is void.
 */
export function reserveClaim(
  client: ObjectsClient,
  { metadata }: Stored<ResourceClaim>,
  pod: Stored<Pod>,
  allocation: AllocationResult | undefined,
): Promise<Stored<ResourceClaim> | undefined> {
  const key = { namespace: metadata.namespace, name: metadata.name };
  return withRetry(async () => {
    let claim = await client.get(resourceClaims, key);
    const isFree = claim.status?.allocation === undefined;
    if (claim.metadata.uid !== metadata.uid || claim.metadata.deletionTimestamp) return undefined;
    if (isFree !== (allocation !== undefined)) return undefined;
    const finalizers = claim.metadata.finalizers ?? [];
    if (!finalizers.includes(claimFinalizer)) {
      const { resourceVersion } = claim.metadata;
      const body = { metadata: { resourceVersion, finalizers: [...finalizers, claimFinalizer] } };
      claim = await client.patch(resourceClaims, key, { type: 'merge', body });
    }
    if (!allocation && isClaimReservedFor(claim, pod)) return claim;
    const user = { resource: 'pods', name: pod.metadata.name, uid: pod.metadata.uid };
    const status = {
      ...(allocation ? { allocation } : {}),
      reservedFor: [...(claim.status?.reservedFor ?? []), user],
    };
    const body = { metadata: { resourceVersion: claim.metadata.resourceVersion }, status };
    return client.patch(resourceClaims, key, { type: 'merge', body }, { subresource: 'status' });
  });
}

/** Gives the devices of a claim back that nobody uses, so that they can be looked for on other nodes. */
export async function deallocateClaim(client: ObjectsClient, { metadata }: Stored<ResourceClaim>): Promise<void> {
  const { namespace, name, resourceVersion } = metadata;
  const body = { metadata: { resourceVersion }, status: { allocation: null, reservedFor: null } };
  await client.patch(resourceClaims, { namespace, name }, { type: 'merge', body }, { subresource: 'status' });
}

/** Makes the claim by which a pod gets extended resources. */
export function makeClaim(
  client: ObjectsClient,
  { metadata, spec }: Stored<ResourceClaim>,
): Promise<Stored<ResourceClaim>> {
  const { namespace, generateName, annotations, ownerReferences } = metadata;
  return client.create(resourceClaims, {
    ...{ apiVersion: apiVersionOf(resourceClaims), kind: resourceClaims.kind, spec },
    metadata: { ...(namespace ? { namespace } : {}), generateName, annotations, ownerReferences },
  } as ResourceClaim);
}

/** Tells by the status of the pod which devices of the claim are for which container. */
export async function noteClaim(
  client: ObjectsClient,
  { metadata: { namespace, name, uid } }: Stored<Pod>,
  { metadata }: Stored<ResourceClaim>,
  requestMappings: RequestMapping[],
): Promise<void> {
  const status = { extendedResourceClaimStatus: { requestMappings, resourceClaimName: metadata.name } };
  const body = { metadata: { uid }, status };
  await client.patch(pods, { namespace, name }, { type: 'merge', body }, { subresource: 'status' });
}

/**
 * The pod tells of the claim no more, for where it goes next it may have all from device plugins. False: it has its node, and needs the
 * claim.
 */
async function withdrawClaim(
  client: ObjectsClient,
  { name: claimName }: Stored<ResourceClaim>['metadata'],
  { metadata: { namespace, name, uid } }: Stored<Pod>,
): Promise<boolean> {
  try {
    const { metadata, spec, status } = await client.get(pods, { namespace, name });
    if (metadata.uid !== uid) return true;
    if (spec?.nodeName) return false;
    if (status?.extendedResourceClaimStatus?.resourceClaimName !== claimName) return true;
    const { resourceVersion } = metadata;
    const body = { metadata: { resourceVersion }, status: { extendedResourceClaimStatus: null } };
    await client.patch(pods, { namespace, name }, { type: 'merge', body }, { subresource: 'status' });
  } catch (error) {
    if (!isReason(error, 'NotFound')) throw error;
  }
  return true;
}

/** Deletes the claim that was made for a pod which does not go where it was to; not when it is there after all. */
export async function discardClaim(
  client: ObjectsClient,
  { metadata }: Stored<ResourceClaim>,
  pod: Stored<Pod>,
): Promise<void> {
  const { namespace, name, uid } = metadata;
  if (!(await withRetry(() => withdrawClaim(client, metadata, pod)))) return;
  await withRetry(async () => {
    const claim = await client.get(resourceClaims, { namespace, name });
    if (claim.metadata.uid !== uid) return;
    const { finalizers = [], resourceVersion } = claim.metadata;
    const others = finalizers.filter(each => each !== claimFinalizer);
    const body = { metadata: { resourceVersion, finalizers: others } };
    if (others.length < finalizers.length)
      await client.patch(resourceClaims, { namespace, name }, { type: 'merge', body });
    await client.delete(resourceClaims, { namespace, name }, { preconditions: { uid } });
  }).catch((error: unknown) => {
    if (!isReason(error, 'NotFound')) throw error;
  });
}
