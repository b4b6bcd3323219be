import { compileLabelSelector, quantityValue, storageClassOf, type CSIStorageCapacity, type Node } from '@naru/api';
import type { Claim } from './pod-claims';
import type { StorageView } from './storage-view';

/** Whether a volume can be made for a claim where a node reaches it; if not, for want of what. */
export type Provisioning = 'possible' | 'impossible' | 'no space';

/** The largest volume that there is room for, in bytes; undefined when the driver does not say. */
export function largestVolume({ capacity, maximumVolumeSize }: CSIStorageCapacity): number | undefined {
  const limit = maximumVolumeSize ?? capacity;
  return limit === undefined ? undefined : quantityValue(limit);
}

function reaches({ metadata }: Node, { nodeTopology }: CSIStorageCapacity): boolean {
  return nodeTopology !== undefined && compileLabelSelector(nodeTopology)(metadata?.labels ?? {});
}

/** A driver that says how much room it has where is believed; one that does not is taken to have enough. */
function hasSpace(claim: Claim, provisioner: string, node: Node, storage: StorageView): boolean {
  const wanted = claim.spec?.resources?.requests?.['storage'];
  if (wanted === undefined || !storage.csiDrivers.get({ name: provisioner })?.spec.storageCapacity) return true;
  const bytes = quantityValue(wanted);
  return storage.capacities
    .byIndex('class', storageClassOf(claim) ?? '')
    .some(capacity => (largestVolume(capacity) ?? -1) >= bytes && reaches(node, capacity));
}

/** Source: volumebinding/binder.go checkVolumeProvisions. */
export function provisioning(claim: Claim, node: Node, storage: StorageView): Provisioning {
  const storageClass = storage.classes.get({ name: storageClassOf(claim) ?? '' });
  if (!storageClass?.provisioner || storageClass.provisioner === 'kubernetes.io/no-provisioner') return 'impossible';
  const topologies = storageClass.allowedTopologies ?? [];
  const labels = node.metadata?.labels ?? {};
  const allowed =
    topologies.length === 0 ||
    topologies.some(({ matchLabelExpressions = [] }) =>
      matchLabelExpressions.every(({ key, values }) => values.includes(labels[key] ?? '')),
    );
  if (!allowed) return 'impossible';
  return hasSpace(claim, storageClass.provisioner, node, storage) ? 'possible' : 'no space';
}
