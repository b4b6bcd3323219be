import {
  claimNameOf,
  isEphemeralClaimOf,
  isFullyBound,
  storageClassOf,
  type PersistentVolume,
  type PersistentVolumeClaim,
  type Pod,
  type Stored,
} from '@naru/api';
import type { StorageView } from './storage-view';

export type Claim = Stored<PersistentVolumeClaim>;
export type Volume = Stored<PersistentVolume>;

/** The claims of a pod by how far they are. */
export interface PodClaims {
  bound: Claim[];
  /** To be bound when the pod has a node. */
  delayed: Claim[];
  /** To be bound by the controller at once, and not bound yet. */
  immediate: Claim[];
}

/** Answers why the pod cannot run anywhere, in upstream's words, or its claims. */
export function claimsOfPod(pod: Stored<Pod>, storage: StorageView): PodClaims | string {
  const claims: PodClaims = { bound: [], delayed: [], immediate: [] };
  const { namespace, name: podName } = pod.metadata;
  for (const volume of pod.spec?.volumes ?? []) {
    const name = claimNameOf(pod, volume);
    if (name === undefined) continue;
    const claim = storage.claims.get({ namespace, name });
    if (!claim)
      return volume.ephemeral
        ? `waiting for ephemeral volume controller to create the persistentvolumeclaim "${name}"`
        : `persistentvolumeclaim "${name}" not found`;
    if (volume.ephemeral && !isEphemeralClaimOf(pod, claim))
      return `PVC ${namespace}/${name} was not created for pod ${namespace}/${podName} (pod is not owner)`;
    if (claim.status?.phase === 'Lost')
      return `persistentvolumeclaim "${name}" bound to non-existent persistentvolume "${claim.spec?.volumeName ?? ''}"`;
    if (claim.metadata.deletionTimestamp) return `persistentvolumeclaim "${name}" is being deleted`;
    const waits =
      storage.classes.get({ name: storageClassOf(claim) ?? '' })?.volumeBindingMode === 'WaitForFirstConsumer';
    if (isFullyBound(claim)) claims.bound.push(claim);
    else if (waits && !claim.spec?.volumeName) claims.delayed.push(claim);
    else claims.immediate.push(claim);
  }
  return claims;
}

/** The volumes that a pod's bound claims stand for; undefined in place of one that does not exist. */
export function volumesOf(claims: readonly Claim[], storage: StorageView): (Volume | undefined)[] {
  return claims.map(({ spec }) => storage.volumes.get({ name: spec?.volumeName ?? '' }));
}

export function usesClaims({ spec }: Pod): boolean {
  return spec?.volumes?.some(({ persistentVolumeClaim, ephemeral }) => persistentVolumeClaim || ephemeral) ?? false;
}
