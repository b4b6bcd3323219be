import { persistentVolumeClaims, persistentVolumes, type PersistentVolume, type Pod } from '@naru/api';
import type { MemoryObjects } from '@naru/testing';

/** A claim that is bound to a volume of its own, `pv-NAME`, as a controller would leave both. */
export async function createBoundClaim(
  api: MemoryObjects,
  name: string,
  source: Partial<NonNullable<PersistentVolume['spec']>>,
  owner?: Pod,
): Promise<void> {
  const { name: podName = '', uid: podUid = '' } = owner?.metadata ?? {};
  const ownerReferences = owner ? [{ apiVersion: 'v1', kind: 'Pod', name: podName, uid: podUid }] : [];
  const accessModes = ['ReadWriteOnce'];
  const capacity = { storage: '1Gi' };
  const claim = await api.create(persistentVolumeClaims, {
    metadata: { name, namespace: 'default', ownerReferences },
    spec: { volumeName: `pv-${name}`, accessModes, resources: { requests: capacity } },
  });
  const { uid } = claim.metadata;
  const claimRef = { name, namespace: 'default', uid };
  await api.create(persistentVolumes, {
    metadata: { name: `pv-${name}` },
    spec: { capacity, accessModes, claimRef, ...source },
  });
  const body = { status: { phase: 'Bound', capacity: source.capacity ?? capacity } };
  const key = { name, namespace: 'default' };
  await api.patch(persistentVolumeClaims, key, { type: 'merge', body }, { subresource: 'status' });
}
