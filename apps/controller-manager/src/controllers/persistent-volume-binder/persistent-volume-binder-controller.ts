import {
  isFullyBound,
  persistentVolumeClaims,
  persistentVolumes,
  storageClasses,
  type PersistentVolume,
  type PersistentVolumeClaim,
  type Stored,
} from '@naru/api';
import { objectKey, parseKey } from '@naru/client';
import { watch, type Controller } from '../../framework/controller';
import type { ClusterInformers } from '../../framework/informers';
import { Binding } from './binding';
import { ClaimBinder } from './claim-binder';
import { claimKey, parseBinderKey, volumeKey } from './keys';
import { VolumeKeeper } from './volume-keeper';

/** The claims that may profit from a class that is new. */
function waitingClaims(informers: ClusterInformers): Stored<PersistentVolumeClaim>[] {
  return informers
    .lister(persistentVolumeClaims)
    .list()
    .filter(claim => !isFullyBound(claim));
}

/** The claim that a volume is reserved for, those that name it, and if it is free all that wait for one. */
function claimsOf(volume: Stored<PersistentVolume>, informers: ClusterInformers): string[] {
  const { claimRef } = volume.spec ?? {};
  const isFree = !claimRef && volume.status?.phase === 'Available';
  const interested = waitingClaims(informers)
    .filter(({ spec }) => (spec?.volumeName ? spec.volumeName === volume.metadata.name : isFree))
    .map(claim => claimKey(objectKey(claim)));
  if (claimRef?.name) interested.push(claimKey(`${claimRef.namespace ?? ''}/${claimRef.name}`));
  return interested;
}

/** Brings claims and volumes together. One worker: a volume is given once. */
export const persistentVolumeBinderController: Controller = {
  name: 'persistentvolume-binder-controller',
  eventSource: 'persistentvolume-controller',
  concurrency: 1,
  watches: ({ informers }) => [
    watch(persistentVolumeClaims, claim => {
      const key = objectKey(claim);
      const { volumeName } = claim.spec ?? {};
      const reserved = informers.lister(persistentVolumes).byIndex('claim', key);
      const volumes = new Set([...reserved.map(({ metadata }) => metadata.name), ...(volumeName ? [volumeName] : [])]);
      return [claimKey(key), ...[...volumes].map(volumeKey)];
    }),
    watch(persistentVolumes, volume => [volumeKey(volume.metadata.name), ...claimsOf(volume, informers)]),
    watch(storageClasses, () => waitingClaims(informers).map(claim => claimKey(objectKey(claim)))),
  ],
  build(deps) {
    const binding = new Binding(deps);
    const claims = new ClaimBinder(deps, binding);
    const volumes = new VolumeKeeper(deps, binding);
    return {
      async reconcile(key) {
        const subject = parseBinderKey(key);
        if ('claim' in subject) {
          const claim = deps.informers.lister(persistentVolumeClaims).get(parseKey(subject.claim));
          if (claim && !claim.metadata.deletionTimestamp) await claims.reconcile(claim);
        } else {
          const volume = deps.informers.lister(persistentVolumes).get({ name: subject.volume });
          if (volume) await volumes.reconcile(volume);
        }
      },
    };
  },
};
