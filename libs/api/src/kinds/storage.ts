import { deepEqual } from '../deep-equal';
import { persistentVolumeClaims, persistentVolumes, storageClasses } from '../resource';
import { accessModes, ageColumn, nameColumn, text, wide } from '../table/columns';
import type { PersistentVolume, PersistentVolumeClaim, StorageClass } from '../types';
import { forbidden, invalid, notSupported, required } from '../validation/field-error';
import {
  validateClaim,
  validateClaimUpdate,
  validateVolume,
  validateVolumeUpdate,
} from '../validation/persistent-volume';
import { defineKind } from './define-kind';

const classAnnotation = 'volume.beta.kubernetes.io/storage-class';

function className(o: PersistentVolume | PersistentVolumeClaim): string {
  return o.metadata?.annotations?.[classAnnotation] ?? o.spec?.storageClassName ?? '';
}

function phaseOf(o: PersistentVolume | PersistentVolumeClaim): string {
  return o.metadata?.deletionTimestamp ? 'Terminating' : (o.status?.phase ?? '');
}

const attributesClass = (o: PersistentVolume | PersistentVolumeClaim): string =>
  o.spec?.volumeAttributesClassName || '<unset>';
const volumeMode = (o: PersistentVolume | PersistentVolumeClaim): string => o.spec?.volumeMode ?? '<unset>';

export const persistentVolumeKind = defineKind(persistentVolumes, {
  shortNames: ['pv'],
  subresources: { status: true },
  applyDefaults: ({ spec }) => {
    if (!spec) return;
    spec.persistentVolumeReclaimPolicy ||= 'Retain';
    spec.volumeMode ??= 'Filesystem';
    if (spec.hostPath) spec.hostPath.type ??= '';
  },
  prepareForCreate: o => {
    o.status = { phase: 'Pending' };
  },
  validate: validateVolume,
  validateUpdate: validateVolumeUpdate,
  columns: [
    nameColumn,
    text('Capacity', 'How much it holds.', o => o.spec?.capacity?.['storage'] ?? ''),
    text('Access Modes', 'How it may be mounted.', o => accessModes(o.spec?.accessModes)),
    text('Reclaim Policy', 'What happens when it is released.', o => o.spec?.persistentVolumeReclaimPolicy ?? ''),
    text('Status', 'Its phase.', phaseOf),
    text('Claim', 'Who claimed it.', ({ spec }) =>
      spec?.claimRef ? `${spec.claimRef.namespace}/${spec.claimRef.name}` : '',
    ),
    text('StorageClass', 'Its class.', className),
    text('VolumeAttributesClass', 'Its attributes class.', attributesClass),
    text('Reason', 'Why it is in its phase.', o => o.status?.reason ?? ''),
    ageColumn,
    wide('VolumeMode', 'Filesystem or Block.', volumeMode),
  ],
});

export const persistentVolumeClaimKind = defineKind(persistentVolumeClaims, {
  shortNames: ['pvc'],
  subresources: { status: true },
  applyDefaults: ({ spec }) => {
    if (spec) spec.volumeMode ??= 'Filesystem';
  },
  prepareForCreate: o => {
    o.status = { phase: 'Pending' };
  },
  validate: validateClaim,
  validateUpdate: validateClaimUpdate,
  columns: [
    nameColumn,
    text('Status', 'Its phase.', phaseOf),
    text('Volume', 'The volume it is bound to.', o => o.spec?.volumeName ?? ''),
    text('Capacity', 'What it got.', o => (o.spec?.volumeName ? (o.status?.capacity?.['storage'] ?? '0') : '')),
    text('Access Modes', 'How it may be mounted.', o => (o.spec?.volumeName ? accessModes(o.status?.accessModes) : '')),
    text('StorageClass', 'Its class.', className),
    text('VolumeAttributesClass', 'Its attributes class.', attributesClass),
    ageColumn,
    wide('VolumeMode', 'Filesystem or Block.', volumeMode),
  ],
});

const defaultClass = 'storageclass.kubernetes.io/is-default-class';

function isDefaultClass(o: StorageClass): boolean {
  return o.metadata?.annotations?.[defaultClass] === 'true';
}

export const storageClassKind = defineKind(storageClasses, {
  shortNames: ['sc'],
  applyDefaults: o => {
    o.reclaimPolicy ??= 'Delete';
    o.volumeBindingMode ??= 'Immediate';
  },
  validate: (o, errors) => {
    if (!o.provisioner) errors.push(required('provisioner'));
    if (o.reclaimPolicy && !['Delete', 'Retain'].includes(o.reclaimPolicy))
      errors.push(notSupported('reclaimPolicy', o.reclaimPolicy, ['Delete', 'Retain']));
    const bindingModes = ['Immediate', 'WaitForFirstConsumer'];
    if (!bindingModes.includes(o.volumeBindingMode ?? ''))
      errors.push(notSupported('volumeBindingMode', o.volumeBindingMode, bindingModes));
  },
  validateUpdate: (next, old, errors) => {
    if (next.provisioner !== old.provisioner)
      errors.push(forbidden('provisioner', 'updates to provisioner are forbidden.'));
    if (!deepEqual(next.parameters, old.parameters))
      errors.push(forbidden('parameters', 'updates to parameters are forbidden.'));
    if (next.reclaimPolicy !== old.reclaimPolicy)
      errors.push(forbidden('reclaimPolicy', 'updates to reclaimPolicy are forbidden.'));
    if (next.volumeBindingMode !== old.volumeBindingMode)
      errors.push(invalid('volumeBindingMode', next.volumeBindingMode, 'field is immutable'));
  },
  columns: [
    {
      ...nameColumn,
      cell: o => `${o.metadata?.name ?? ''}${isDefaultClass(o as StorageClass) ? ' (default)' : ''}`,
    },
    text('Provisioner', 'Who provisions.', o => o.provisioner ?? ''),
    text('ReclaimPolicy', 'What happens to released volumes.', o => o.reclaimPolicy ?? 'Delete'),
    text('VolumeBindingMode', 'When claims are bound.', o => o.volumeBindingMode ?? '<unset>'),
    {
      ...text(
        'AllowVolumeExpansion',
        'Whether volumes may grow.',
        (o: StorageClass) => o.allowVolumeExpansion ?? false,
      ),
      type: 'boolean',
    },
    ageColumn,
  ],
});
