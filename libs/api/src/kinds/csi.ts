import { csiDrivers, csiNodes, csiStorageCapacities } from '../resource';
import { ageColumn, integer, nameColumn, text } from '../table/columns';
import type { TableColumn } from '../table/column';
import type { CSIDriver } from '../types';
import { defineKind } from './define-kind';

function flag(name: string, description: string, read: (o: CSIDriver) => boolean): TableColumn<CSIDriver> {
  return { ...text(name, description, read), type: 'boolean' };
}

function tokenRequestsOf({ spec }: CSIDriver): string {
  const audiences = (spec?.tokenRequests ?? []).map(({ audience }) => audience);
  return audiences.length === 0 ? '<unset>' : audiences.join(',');
}

export const csiDriverKind = defineKind(csiDrivers, {
  hasGeneration: true,
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
  columns: [integer('Drivers', 'How many drivers the node has.', o => o.spec?.drivers?.length ?? 0)],
});

export const csiStorageCapacityKind = defineKind(csiStorageCapacities, {
  columns: [
    nameColumn,
    text('StorageClassName', 'The class that the capacity is of.', o => o.storageClassName ?? ''),
    text('Capacity', 'How much is left.', o => o.capacity ?? '<unset>'),
  ],
});
