import {
  claimFinalizer,
  isClaimReservedFor,
  resourceClaims,
  type Pod,
  type ResourceClaim,
  type Stored,
} from '@naru/api';
import type { ObjectsClient } from '@naru/client';
import { isReason } from '@naru/foundation';
import type { AllocationResult } from './device-view';

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
