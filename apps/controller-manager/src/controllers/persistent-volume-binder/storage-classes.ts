import {
  defaultClassAnnotation,
  storageClasses,
  storageClassOf,
  type PersistentVolumeClaim,
  type StorageClass,
  type Stored,
} from '@naru/api';
import type { ClusterInformers } from '../../framework/informers';

/** The class that claims get which name none; of several the youngest, as upstream. */
export function defaultStorageClass(informers: ClusterInformers): Stored<StorageClass> | undefined {
  const age = ({ metadata }: Stored<StorageClass>): string => metadata.creationTimestamp ?? '';
  return informers
    .lister(storageClasses)
    .list()
    .filter(({ metadata }) => metadata.annotations?.[defaultClassAnnotation] === 'true')
    .sort((a, b) => (age(a) === age(b) ? (a.metadata.name < b.metadata.name ? -1 : 1) : age(a) > age(b) ? -1 : 1))[0];
}

/** The class of a claim. Undefined: it has none, or one that does not exist. */
export function classOf(informers: ClusterInformers, claim: PersistentVolumeClaim): Stored<StorageClass> | undefined {
  const name = storageClassOf(claim);
  return name ? informers.lister(storageClasses).get({ name }) : undefined;
}

/** Does the claim wait until a pod that uses it has been given a node? */
export function waitsForConsumer(storageClass: StorageClass | undefined): boolean {
  return storageClass?.volumeBindingMode === 'WaitForFirstConsumer';
}
