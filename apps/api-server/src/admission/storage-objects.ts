import {
  parseQuantities,
  persistentVolumeClaims,
  persistentVolumes,
  storageClasses,
  storageClassOf,
  type PersistentVolumeClaim,
} from '@naru/api';
import { objectOf } from './cached-objects';
import { isResource } from './is-resource';
import type { AdmissionPlugin } from './plugin';
import { refuse } from './refuse';

/** By resource; their controllers take them off what is being deleted and no longer used. */
const finalizers = new Map([
  [persistentVolumes, 'kubernetes.io/pv-protection'],
  [persistentVolumeClaims, 'kubernetes.io/pvc-protection'],
]);

/** Volumes and claims are protected from the first moment on. */
export const storageObjectInUseProtection: AdmissionPlugin = {
  name: 'StorageObjectInUseProtection',
  handles: request =>
    request.operation === 'create' &&
    (isResource(request, persistentVolumes) || isResource(request, persistentVolumeClaims)),
  admit(request) {
    for (const [type, finalizer] of finalizers) {
      if (!isResource(request, type)) continue;
      const metadata = (request.object!.metadata ??= {});
      if (!metadata.finalizers?.includes(finalizer)) metadata.finalizers = [...(metadata.finalizers ?? []), finalizer];
    }
  },
};

/** Only a bound claim of a class that allows it may ask for another size. */
export const claimResize: AdmissionPlugin = {
  name: 'PersistentVolumeClaimResize',
  handles: request => request.operation === 'update' && isResource(request, persistentVolumeClaims),
  validate(request, deps) {
    const next = request.object as PersistentVolumeClaim;
    const old = request.old as PersistentVolumeClaim;
    const sizeOf = ({ spec }: PersistentVolumeClaim): bigint | undefined =>
      parseQuantities(spec?.resources?.requests).get('storage')?.nano;
    if (sizeOf(next) === sizeOf(old)) return;
    if (old.status?.phase !== 'Bound') throw refuse(request, 'Only bound persistent volume claims can be expanded');
    const className = storageClassOf(next) ?? '';
    const known = className !== '' && className === (storageClassOf(old) ?? '');
    if (!known || objectOf(deps, storageClasses, '', className)?.allowVolumeExpansion !== true)
      throw refuse(
        request,
        'only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize',
      );
  },
};
