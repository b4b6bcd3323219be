import { csiDrivers, csiNodes, csiStorageCapacities } from '../resource';
import { ageColumn, integer, nameColumn, text } from '../table/columns';
import type { TableColumn } from '../table/column';
import type { CSIDriver } from '../types';
import { deepEqual } from '../deep-equal';
import { validateDriver, validateNodeDrivers } from '../validation/csi';
import { invalid } from '../validation/field-error';
import { validateRequiredName } from '../validation/fields';
import { validateLabelSelector } from '../validation/label-selector';
import { dnsSubdomainProblem } from '../validation/names';
import { validateAmount } from '../validation/quantities';
import { immutableMessage } from '../validation/workload';
import { defineKind } from './define-kind';

function flag(name: string, description: string, read: (o: CSIDriver) => boolean): TableColumn<CSIDriver> {
  return { ...text(name, description, read), type: 'boolean' };
}

function tokenRequestsOf({ spec }: CSIDriver): string {
  const audiences = (spec?.tokenRequests ?? []).map(({ audience }) => audience);
  return audiences.length === 0 ? '<unset>' : audiences.join(',');
}

export const csiDriverKind = defineKind(csiDrivers, {
  needsVersion: true,
  hasGeneration: true,
  applyDefaults: o => {
    const spec = (o.spec ??= {});
    spec.attachRequired ??= true;
    spec.podInfoOnMount ??= false;
    spec.storageCapacity ??= false;
    spec.fsGroupPolicy ??= 'ReadWriteOnceWithFSType';
    spec.requiresRepublish ??= false;
    spec.seLinuxMount ??= false;
    if (!spec.volumeLifecycleModes?.length) spec.volumeLifecycleModes = ['Persistent'];
  },
  validate: validateDriver,
  validateUpdate: (next, old, errors) => {
    for (const field of ['attachRequired', 'volumeLifecycleModes'] as const)
      if (!deepEqual(next.spec?.[field], old.spec?.[field]))
        errors.push(invalid(`spec.${field}`, next.spec?.[field] ?? null, immutableMessage));
  },
  columns: [
    nameColumn,
    flag(
      'AttachRequired',
      'Whether volumes are attached before they are mounted.',
      o => o.spec?.attachRequired ?? true,
    ),
    flag('PodInfoOnMount', 'Whether a mount is told about its pod.', o => o.spec?.podInfoOnMount ?? false),
    flag('StorageCapacity', 'Whether the driver says how much is left.', o => o.spec?.storageCapacity ?? false),
    text('TokenRequests', 'The audiences of the tokens that mounts get.', tokenRequestsOf),
    flag('RequiresRepublish', 'Whether mounts are repeated.', o => o.spec?.requiresRepublish ?? false),
    text('Modes', 'How volumes may live.', o => (o.spec?.volumeLifecycleModes ?? []).join(',') || '<none>'),
    ageColumn,
  ],
});

export const csiNodeKind = defineKind(csiNodes, {
  needsVersion: true,
  validate: validateNodeDrivers,
  validateUpdate: (next, old, errors) => {
    for (const before of old.spec?.drivers ?? []) {
      const after = next.spec?.drivers?.find(({ name }) => name === before.name);
      // How many volumes fit may change; what a driver called the node may not.
      const fixed = (driver: typeof before) => ({ ...driver, allocatable: undefined });
      if (after && !deepEqual(fixed(after), fixed(before)))
        errors.push(invalid('spec.drivers', after, immutableMessage));
    }
  },
  columns: [integer('Drivers', 'How many drivers the node has.', o => o.spec?.drivers?.length ?? 0)],
});

export const csiStorageCapacityKind = defineKind(csiStorageCapacities, {
  needsVersion: true,
  validate: (o, errors) => {
    validateRequiredName(o.storageClassName, dnsSubdomainProblem, 'storageClassName', errors);
    validateLabelSelector(o.nodeTopology, 'nodeTopology', errors);
    validateAmount(o.capacity, 'capacity', errors);
    validateAmount(o.maximumVolumeSize, 'maximumVolumeSize', errors);
  },
  validateUpdate: (next, old, errors) => {
    for (const field of ['nodeTopology', 'storageClassName'] as const)
      if (!deepEqual(next[field], old[field])) errors.push(invalid(field, next[field] ?? null, immutableMessage));
  },
  columns: [
    nameColumn,
    text('StorageClassName', 'The class that the capacity is of.', o => o.storageClassName ?? ''),
    text('Capacity', 'How much is left.', o => o.capacity ?? '<unset>'),
  ],
});
