import {
  persistentVolumeClaims,
  persistentVolumes,
  storageClasses,
  type PersistentVolume,
  type PersistentVolumeClaim,
} from '@naru/api';
import { MemoryObjects, eventually } from '@naru/testing';
import { startControllers } from '../../fixtures';
import { convergenceSuite } from '../../simulation';
import { persistentVolumeBinderController } from './persistent-volume-binder-controller';

const makeVolume = (name: string, spec: Partial<NonNullable<PersistentVolume['spec']>> = {}): PersistentVolume => ({
  metadata: { name },
  spec: {
    capacity: { storage: '1Gi' },
    accessModes: ['ReadWriteOnce'],
    persistentVolumeReclaimPolicy: 'Retain',
    hostPath: { path: `/tmp/${name}` },
    ...spec,
  },
});
const makeClaim = (
  name: string,
  spec: Partial<NonNullable<PersistentVolumeClaim['spec']>> = {},
): PersistentVolumeClaim => ({
  metadata: { namespace: 'default', name },
  spec: {
    accessModes: ['ReadWriteOnce'],
    storageClassName: '',
    resources: { requests: { storage: '1Gi' } },
    ...spec,
  },
});
const key = (name: string) => ({ namespace: 'default', name });

async function start(seed: (api: MemoryObjects) => void = () => undefined) {
  const api = new MemoryObjects();
  seed(api);
  const cluster = await startControllers([persistentVolumeBinderController], { api });
  const phases = async (): Promise<Record<string, string | undefined>> => {
    const all = [...(await api.list(persistentVolumes)).items, ...(await api.list(persistentVolumeClaims)).items];
    return Object.fromEntries(all.map(({ metadata, status }) => [metadata.name, status?.phase]));
  };
  const expectPhases = (wanted: Record<string, string>) =>
    eventually(async () => expect(await phases()).toEqual(wanted));
  return { api, cluster, expectPhases };
}

test('a claim and a volume are bound to each other, whichever comes first', async () => {
  const { api, cluster, expectPhases } = await start(api => {
    api.seed(persistentVolumes, makeVolume('v1'));
    api.seed(persistentVolumeClaims, makeClaim('c1'));
    api.seed(persistentVolumeClaims, makeClaim('c2'));
  });
  await eventually(async () => expect((await api.get(persistentVolumes, { name: 'v1' })).status?.phase).toBe('Bound'));
  await api.create(persistentVolumes, makeVolume('v2'));
  await expectPhases({ v1: 'Bound', v2: 'Bound', c1: 'Bound', c2: 'Bound' });
  const volume = await api.get(persistentVolumes, { name: 'v1' });
  const { name = '' } = volume.spec?.claimRef ?? {};
  const claim = await api.get(persistentVolumeClaims, key(name));
  expect(claim.spec?.volumeName).toBe('v1');
  expect(volume.spec?.claimRef?.uid).toBe(claim.metadata.uid);
  expect(claim.status).toMatchObject({ accessModes: ['ReadWriteOnce'], capacity: { storage: '1Gi' } });
  expect(claim.metadata.annotations).toEqual({
    'pv.kubernetes.io/bind-completed': 'yes',
    'pv.kubernetes.io/bound-by-controller': 'yes',
  });
  await cluster.stop();
});

test('a claim that names its volume waits for it, and takes no volume of another claim', async () => {
  const { api, cluster, expectPhases } = await start(api => {
    api.seed(persistentVolumes, makeVolume('other'));
    api.seed(persistentVolumeClaims, makeClaim('named', { volumeName: 'mine' }));
  });
  await expectPhases({ other: 'Available', named: 'Pending' });
  await api.create(persistentVolumes, makeVolume('mine', { claimRef: { ...key('somebody') } }));
  await expectPhases({ other: 'Available', mine: 'Available', named: 'Pending' });
  await eventually(() => expect(cluster.events.map(({ reason }) => reason)).toContain('FailedBinding'));
  await api.patch(persistentVolumes, { name: 'mine' }, { type: 'merge', body: { spec: { claimRef: null } } });
  await expectPhases({ other: 'Available', mine: 'Bound', named: 'Bound' });
  await cluster.stop();
});

test('a volume is released with its claim and kept, or failed when nobody can delete or recycle it', async () => {
  const { api, cluster, expectPhases } = await start(api => {
    for (const persistentVolumeReclaimPolicy of ['Retain', 'Delete', 'Recycle']) {
      const name = persistentVolumeReclaimPolicy.toLowerCase();
      api.seed(persistentVolumes, makeVolume(name, { persistentVolumeReclaimPolicy }));
      api.seed(persistentVolumeClaims, makeClaim(`for-${name}`, { volumeName: name }));
    }
  });
  const bound = { retain: 'Bound', delete: 'Bound', recycle: 'Bound' };
  await expectPhases({ ...bound, 'for-retain': 'Bound', 'for-delete': 'Bound', 'for-recycle': 'Bound' });
  for (const name of ['retain', 'delete', 'recycle']) await api.delete(persistentVolumeClaims, key(`for-${name}`));
  await expectPhases({ retain: 'Released', delete: 'Failed', recycle: 'Failed' });
  await cluster.stop();
});

test('what others write to the status of a bound volume stays', async () => {
  const { api, cluster, expectPhases } = await start(api => {
    api.seed(persistentVolumes, makeVolume('v'));
    api.seed(persistentVolumeClaims, makeClaim('c'));
  });
  await expectPhases({ v: 'Bound', c: 'Bound' });
  const written = { message: 'by hand', reason: 'Why' };
  await api.patch(
    persistentVolumes,
    { name: 'v' },
    { type: 'merge', body: { status: written } },
    { subresource: 'status' },
  );
  // When these are bound, the controller has seen that volume.
  await api.create(persistentVolumes, makeVolume('next'));
  await api.create(persistentVolumeClaims, makeClaim('next-c'));
  await expectPhases({ v: 'Bound', c: 'Bound', next: 'Bound', 'next-c': 'Bound' });
  expect((await api.get(persistentVolumes, { name: 'v' })).status).toEqual({ ...written, phase: 'Bound' });
  await cluster.stop();
});

test('a claim whose volume vanishes is lost', async () => {
  const { api, cluster, expectPhases } = await start(api => {
    api.seed(persistentVolumes, makeVolume('v'));
    api.seed(persistentVolumeClaims, makeClaim('c'));
  });
  await expectPhases({ v: 'Bound', c: 'Bound' });
  await api.delete(persistentVolumes, { name: 'v' });
  await expectPhases({ c: 'Lost' });
  expect(cluster.events.map(({ reason }) => reason)).toContain('ClaimLost');
  await cluster.stop();
});

test('a claim without a class gets the default one when there is one', async () => {
  const { api, cluster } = await start(api => {
    const { storageClassName: _none, ...spec } = makeClaim('c').spec ?? {};
    api.seed(persistentVolumeClaims, { ...makeClaim('c'), spec });
  });
  await eventually(() => expect(cluster.events.map(({ reason }) => reason)).toContain('FailedBinding'));
  await api.create(storageClasses, {
    metadata: { name: 'std', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
    provisioner: 'example.com/disk',
  });
  await eventually(async () => {
    const claim = await api.get(persistentVolumeClaims, key('c'));
    expect(claim.spec?.storageClassName).toBe('std');
    expect(claim.metadata.annotations?.['volume.kubernetes.io/storage-provisioner']).toBe('example.com/disk');
  });
  expect(cluster.events.map(({ reason }) => reason)).toContain('ExternalProvisioning');
  await cluster.stop();
});

test('a claim of a class that waits for a pod is left alone until it has a node', async () => {
  const { api, cluster } = await start(api => {
    api.seed(storageClasses, {
      metadata: { name: 'late' },
      provisioner: 'example.com/disk',
      volumeBindingMode: 'WaitForFirstConsumer',
    });
    api.seed(persistentVolumes, makeVolume('v', { storageClassName: 'late' }));
    api.seed(persistentVolumeClaims, makeClaim('c', { storageClassName: 'late' }));
  });
  await eventually(() => expect(cluster.events.map(({ reason }) => reason)).toContain('WaitForFirstConsumer'));
  expect((await api.get(persistentVolumeClaims, key('c'))).spec?.volumeName).toBeUndefined();
  const body = { metadata: { annotations: { 'volume.kubernetes.io/selected-node': 'n1' } } };
  await api.patch(persistentVolumeClaims, key('c'), { type: 'merge', body });
  await eventually(async () => expect((await api.get(persistentVolumeClaims, key('c'))).spec?.volumeName).toBe('v'));
  await cluster.stop();
});

convergenceSuite([persistentVolumeBinderController], {
  objects(api) {
    for (const name of ['v1', 'v2', 'v3']) api.seed(persistentVolumes, makeVolume(name));
    for (const name of ['c1', 'c2']) api.seed(persistentVolumeClaims, makeClaim(name));
  },
  steps: [
    client => client.delete(persistentVolumeClaims, key('c1')),
    client => client.create(persistentVolumeClaims, makeClaim('c3')),
    client => client.create(persistentVolumes, makeVolume('v4')),
  ],
  async expectEnd(api) {
    const claims = (await api.list(persistentVolumeClaims)).items;
    expect(claims.map(({ status }) => status?.phase)).toEqual(['Bound', 'Bound']);
    const volumes = (await api.list(persistentVolumes)).items;
    for (const claim of claims) {
      const holder = volumes.find(({ metadata }) => metadata.name === claim.spec?.volumeName);
      expect(holder?.spec?.claimRef?.uid).toBe(claim.metadata.uid);
      expect(holder?.status?.phase).toBe('Bound');
    }
    // One was released with its claim if the two had met before that.
    const others = volumes.filter(({ spec }) => !claims.some(({ metadata }) => metadata.uid === spec?.claimRef?.uid));
    for (const { spec, status } of others) expect(status?.phase).toBe(spec?.claimRef ? 'Released' : 'Available');
  },
  // A volume is given once.
  async always(api) {
    const taken = (await api.list(persistentVolumeClaims)).items.flatMap(({ spec }) => spec?.volumeName ?? []);
    expect(new Set(taken).size).toBe(taken.length);
  },
});
