import {
  csiDrivers,
  csiNodes,
  csiStorageCapacities,
  persistentVolumeClaims,
  persistentVolumes,
  storageClasses,
  storageClassOf,
  type CSIDriver,
  type CSINode,
  type CSIStorageCapacity,
  type KubeObject,
  type PersistentVolume,
  type PersistentVolumeClaim,
  type StorageClass,
} from '@naru/api';
import type { Informer, InformerOptions, Lister } from '@naru/client';
import { largestVolume } from './provisioning';

/** What the storage plugins see of the cluster. */
export interface StorageView {
  claims: Lister<PersistentVolumeClaim>;
  /** With the index `class`: the name of the storage class. */
  volumes: Lister<PersistentVolume>;
  classes: Lister<StorageClass>;
  csiNodes: Lister<CSINode>;
  csiDrivers: Lister<CSIDriver>;
  /** With the index `class`, as above. */
  capacities: Lister<CSIStorageCapacity>;
  /** Calls back with each change of a claim, until the function returned is called. */
  onClaim(callback: () => void): () => void;
}

/** Something of the storage has changed that a pod may have waited for. */
export type StorageEvent =
  | 'ClaimChange'
  | 'VolumeChange'
  | 'StorageClassChange'
  | 'CSINodeChange'
  | 'CSIDriverChange'
  /** A driver has more room than it had. */
  | 'CSIStorageCapacityGrowth';

export function followStorage(
  source: { informer<T extends KubeObject>(options: InformerOptions<T>): Informer<T> },
  tell: (event: StorageEvent) => void,
): StorageView {
  const follow = <T extends KubeObject>(options: InformerOptions<T>, event: StorageEvent): Informer<T> => {
    const informer = source.informer(options);
    informer.addHandler({ onAdd: () => tell(event), onUpdate: () => tell(event), onDelete: () => tell(event) });
    return informer;
  };
  const claims = follow({ type: persistentVolumeClaims }, 'ClaimChange');
  const listeners = new Set<() => void>();
  const call = (): void => {
    for (const listener of listeners) listener();
  };
  claims.addHandler({ onAdd: call, onUpdate: call, onDelete: call });
  const capacities = source.informer<CSIStorageCapacity>({
    type: csiStorageCapacities,
    indexers: { class: ({ storageClassName }) => [storageClassName] },
  });
  capacities.addHandler({
    onAdd: () => tell('CSIStorageCapacityGrowth'),
    onUpdate(next, old) {
      if ((largestVolume(next) ?? -1) > (largestVolume(old) ?? -1)) tell('CSIStorageCapacityGrowth');
    },
    onDelete: () => undefined,
  });
  const indexers = { class: (volume: PersistentVolume) => [storageClassOf(volume) ?? ''] };
  return {
    claims: claims.lister,
    volumes: follow({ type: persistentVolumes, indexers }, 'VolumeChange').lister,
    classes: follow({ type: storageClasses }, 'StorageClassChange').lister,
    csiNodes: follow({ type: csiNodes }, 'CSINodeChange').lister,
    csiDrivers: follow({ type: csiDrivers }, 'CSIDriverChange').lister,
    capacities: capacities.lister,
    onClaim(callback) {
      listeners.add(callback);
      return () => void listeners.delete(callback);
    },
  };
}
