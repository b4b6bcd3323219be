import {
  csiNodes,
  persistentVolumeClaims,
  persistentVolumes,
  storageClasses,
  storageClassOf,
  type CSINode,
  type KubeObject,
  type PersistentVolume,
  type PersistentVolumeClaim,
  type StorageClass,
} from '@naru/api';
import type { Informer, InformerOptions, Lister } from '@naru/client';

/** What the storage plugins see of the cluster. */
export interface StorageView {
  claims: Lister<PersistentVolumeClaim>;
  /** With the index `class`: the name of the storage class. */
  volumes: Lister<PersistentVolume>;
  classes: Lister<StorageClass>;
  csiNodes: Lister<CSINode>;
  /** Calls back with each change of a claim, until the function returned is called. */
  onClaim(callback: () => void): () => void;
}

/** Something of the storage has changed that a pod may have waited for. */
export type StorageEvent = 'ClaimChange' | 'VolumeChange' | 'StorageClassChange' | 'CSINodeChange';

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
  const indexers = { class: (volume: PersistentVolume) => [storageClassOf(volume) ?? ''] };
  return {
    claims: claims.lister,
    volumes: follow({ type: persistentVolumes, indexers }, 'VolumeChange').lister,
    classes: follow({ type: storageClasses }, 'StorageClassChange').lister,
    csiNodes: follow({ type: csiNodes }, 'CSINodeChange').lister,
    onClaim(callback) {
      listeners.add(callback);
      return () => void listeners.delete(callback);
    },
  };
}
