import {
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  storageClasses,
  type PersistentVolumeClaim,
} from '@naru/api';
import { eventually } from '@naru/testing';
import { makeNode, startControllers } from '../../fixtures';
import { convergenceSuite, follow } from '../../simulation';
import { persistentVolumeBinderController } from '../persistent-volume-binder/persistent-volume-binder-controller';
import { pvProtectionController, pvcProtectionController } from '../volume-protection/volume-protection-controllers';
import { localPathProvisionerController } from './local-path-provisioner-controller';
import { removalsOf } from './local-volume';

const controllers = [persistentVolumeBinderController, localPathProvisionerController];
const key = { namespace: 'default', name: 'data' };
const removal = (name: string): string => `remove.volumes.naru.dev/${name}`;
const claim = (spec: Partial<NonNullable<PersistentVolumeClaim['spec']>> = {}): PersistentVolumeClaim => ({
  metadata: { ...key, annotations: { 'volume.kubernetes.io/selected-node': 'n1' } },
  spec: {
    accessModes: ['ReadWriteOnce'],
    storageClassName: 'local-path',
    resources: { requests: { storage: '1Gi' } },
    ...spec,
  },
});

test('a claim with a node gets a directory there, may grow, and the directory is removed before the volume goes', async () => {
  const cluster = await startControllers(controllers);
  const { api } = cluster;
  api.seed(nodes, makeNode('n1', { metadata: { name: 'n1', labels: { 'kubernetes.io/hostname': 'host-1' } } }));
  await eventually(async () => {
    const found = await api.get(storageClasses, { name: 'local-path' });
    expect(found).toMatchObject({ provisioner: 'naru.dev/local-path', volumeBindingMode: 'WaitForFirstConsumer' });
  });
  const { metadata } = await api.create(persistentVolumeClaims, claim());
  const name = `pvc-${metadata.uid}`;
  await eventually(async () => {
    expect((await api.get(persistentVolumeClaims, key)).status?.phase).toBe('Bound');
    const volume = await api.get(persistentVolumes, { name });
    expect(volume.spec).toMatchObject({
      hostPath: { path: `/var/lib/naru/local-path/${name}`, type: 'DirectoryOrCreate' },
      persistentVolumeReclaimPolicy: 'Delete',
      nodeAffinity: {
        required: { nodeSelectorTerms: [{ matchExpressions: [{ operator: 'In', values: ['host-1'] }] }] },
      },
    });
  });
  const larger = { spec: { resources: { requests: { storage: '2Gi' } } } };
  await api.patch(persistentVolumeClaims, key, { type: 'merge', body: larger });
  await eventually(async () => {
    expect((await api.get(persistentVolumeClaims, key)).status?.capacity).toEqual({ storage: '2Gi' });
    expect((await api.get(persistentVolumes, { name })).spec?.capacity).toEqual({ storage: '2Gi' });
  });
  await api.delete(persistentVolumeClaims, key);
  await eventually(async () => {
    const node = await api.get(nodes, { name: 'n1' });
    expect(node.metadata.annotations?.[removal(name)]).toBe(`/var/lib/naru/local-path/${name}`);
  });
  expect((await api.get(persistentVolumes, { name })).status?.phase).toBe('Released');
  const body = { metadata: { annotations: { [removal(name)]: '' } } };
  await api.patch(nodes, { name: 'n1' }, { type: 'merge', body });
  await eventually(async () => {
    expect((await api.list(persistentVolumes)).items).toEqual([]);
    expect(removalsOf(await api.get(nodes, { name: 'n1' }))).toEqual([]);
  });
  await cluster.stop();
});

test.each<[string, Partial<NonNullable<PersistentVolumeClaim['spec']>>]>([
  ['many nodes', { accessModes: ['ReadWriteMany'] }],
  ['a block device', { volumeMode: 'Block' }],
  ['labels', { selector: { matchLabels: { a: 'b' } } }],
])('a claim that asks for %s is told that a local volume cannot be that', async (_what, spec) => {
  const cluster = await startControllers(controllers);
  cluster.api.seed(nodes, makeNode('n1'));
  cluster.api.seed(persistentVolumeClaims, claim(spec));
  await eventually(() => expect(cluster.events.map(({ reason }) => reason)).toContain('ProvisioningFailed'));
  expect((await cluster.api.list(persistentVolumes)).items).toEqual([]);
  await cluster.stop();
});

test('a claim whose chosen node is gone is given back to the scheduler', async () => {
  const cluster = await startControllers(controllers);
  cluster.api.seed(persistentVolumeClaims, claim());
  await eventually(async () => {
    const { metadata } = await cluster.api.get(persistentVolumeClaims, key);
    expect(metadata.annotations?.['volume.kubernetes.io/storage-provisioner']).toBe('naru.dev/local-path');
    expect(metadata.annotations?.['volume.kubernetes.io/selected-node']).toBeUndefined();
  });
  await cluster.stop();
});

const named = (name: string, node: string): PersistentVolumeClaim => ({
  ...claim(),
  metadata: { namespace: 'default', name, annotations: { 'volume.kubernetes.io/selected-node': node } },
});

convergenceSuite([...controllers, pvcProtectionController, pvProtectionController], {
  objects(api) {
    for (const name of ['n1', 'n2']) api.seed(nodes, makeNode(name));
    for (const [name, node] of [
      ['stays', 'n1'],
      ['goes', 'n1'],
      ['goes-with-node', 'n2'],
    ] as const)
      api.seed(persistentVolumeClaims, named(name, node));
  },
  others: [
    // The kubelets: each answers what its Node asks for.
    environment =>
      follow(environment, nodes, async node => {
        for (const name of removalsOf(node)) {
          const body = { metadata: { annotations: { [removal(name)]: '' } } };
          if (node.metadata.annotations?.[removal(name)])
            await environment.client.patch(nodes, { name: node.metadata.name }, { type: 'merge', body });
        }
      }),
  ],
  steps: [
    client => client.delete(persistentVolumeClaims, { namespace: 'default', name: 'goes' }),
    client => client.delete(persistentVolumeClaims, { namespace: 'default', name: 'goes-with-node' }),
    client => client.delete(nodes, { name: 'n2' }),
  ],
  async expectEnd(api) {
    const claims = (await api.list(persistentVolumeClaims)).items;
    expect(claims.map(({ metadata, status }) => [metadata.name, status?.phase])).toEqual([['stays', 'Bound']]);
    const volumes = (await api.list(persistentVolumes)).items;
    expect(volumes.map(({ metadata }) => metadata.name)).toEqual([`pvc-${claims[0]?.metadata.uid}`]);
    expect((await api.list(nodes)).items.flatMap(removalsOf)).toEqual([]);
    expect((await api.list(storageClasses)).items).toHaveLength(1);
  },
});
