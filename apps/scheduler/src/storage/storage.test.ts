import {
  csiDrivers,
  csiNodes,
  csiStorageCapacities,
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  storageClasses,
  type CSIStorageCapacity,
  type PersistentVolume,
  type PersistentVolumeClaim,
} from '@naru/api';
import { MemoryObjects, eventually } from '@naru/testing';
import { createLab, makeNode, makePod, type PodInput } from '../fixtures';
import { followStorage, type StorageEvent } from './storage-view';

const key = (name: string) => ({ namespace: 'default', name });
const bound = { 'pv.kubernetes.io/bind-completed': 'yes' };
const selected = 'volume.kubernetes.io/selected-node';

const claim = (
  name: string,
  spec: Partial<NonNullable<PersistentVolumeClaim['spec']>> = {},
  annotations: Record<string, string> = {},
): PersistentVolumeClaim => ({
  metadata: { ...key(name), uid: `uid-${name}`, annotations },
  spec: {
    accessModes: ['ReadWriteOnce'],
    storageClassName: 'late',
    resources: { requests: { storage: '1Gi' } },
    ...spec,
  },
});
const boundClaim = (name: string, volumeName: string, accessModes = ['ReadWriteOnce']): PersistentVolumeClaim =>
  claim(name, { volumeName, accessModes }, bound);
const volume = (
  name: string,
  spec: Partial<NonNullable<PersistentVolume['spec']>> = {},
  labels = {},
): PersistentVolume => ({
  metadata: { name, labels },
  spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], storageClassName: 'late', ...spec },
  status: { phase: 'Available' },
});
const onNode = (name: string): NonNullable<PersistentVolume['spec']>['nodeAffinity'] => ({
  required: {
    nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [name] }] }],
  },
});
const using = (...claims: string[]): PodInput => ({
  volumes: claims.map((claimName, i) => ({ name: `v${i}`, persistentVolumeClaim: { claimName } })),
});

async function createStorageLab(nodeNames: string[], seed: (api: MemoryObjects) => void, labels = {}) {
  const api = new MemoryObjects();
  api.seed(storageClasses, {
    metadata: { name: 'late' },
    provisioner: 'example.com/disk',
    volumeBindingMode: 'WaitForFirstConsumer',
  });
  seed(api);
  const factory = api.informers();
  const told: StorageEvent[] = [];
  const storage = followStorage(factory, event => void told.push(event));
  const abort = new AbortController();
  await factory.start(abort.signal);
  const nodes = nodeNames.map(name => makeNode(name, { labels }));
  return { api, told, lab: createLab(nodes, { storage, client: api }), stop: () => abort.abort() };
}

test.each<[string, PersistentVolumeClaim | undefined, string]>([
  ['that does not exist', undefined, 'persistentvolumeclaim "data" not found'],
  [
    'that is not bound yet',
    claim('data', { storageClassName: '' }),
    'pod has unbound immediate PersistentVolumeClaims',
  ],
  [
    'whose volume is gone',
    boundClaim('data', 'gone'),
    'node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)',
  ],
  [
    'whose class has neither volumes nor a provisioner',
    claim('data', { storageClassName: 'static' }),
    "node(s) didn't find available persistent volumes to bind",
  ],
])('a pod with a claim %s waits, and says why', async (_what, wanted, message) => {
  const { lab, stop } = await createStorageLab(['a'], api => {
    api.seed(storageClasses, {
      metadata: { name: 'static' },
      provisioner: 'kubernetes.io/no-provisioner',
      volumeBindingMode: 'WaitForFirstConsumer',
    });
    if (wanted) api.seed(persistentVolumeClaims, wanted);
  });
  expect(lab.schedule(using('data')).message).toContain(message);
  stop();
});

test('a pod goes where its volume is', async () => {
  const { lab, stop } = await createStorageLab(['a', 'b', 'c'], api => {
    api.seed(persistentVolumes, volume('v', { nodeAffinity: onNode('b') }));
    api.seed(persistentVolumeClaims, boundClaim('data', 'v'));
  });
  expect(lab.schedule(using('data'))).toEqual({ node: 'b' });
  const elsewhere = lab.schedule({ ...using('data'), nodeSelector: { 'kubernetes.io/hostname': 'a' } });
  expect(elsewhere.message).toContain("1 node(s) didn't match PersistentVolume's node affinity");
  stop();
});

test('a volume of a node is reserved for the pod that goes there, and the pod is bound when the claim is', async () => {
  const { api, lab, stop } = await createStorageLab(['a', 'b'], api => {
    for (const name of ['a', 'b'])
      api.seed(persistentVolumes, volume(name, { storageClassName: 'static', nodeAffinity: onNode(name) }));
    for (const name of ['one', 'two', 'three']) {
      api.seed(persistentVolumeClaims, claim(name, { storageClassName: 'static' }));
    }
    api.seed(storageClasses, {
      metadata: { name: 'static' },
      provisioner: 'kubernetes.io/no-provisioner',
      volumeBindingMode: 'WaitForFirstConsumer',
    });
  });
  const first = lab.schedule({ ...using('one'), name: 'first' });
  const second = lab.schedule({ ...using('two'), name: 'second' });
  expect([first.node, second.node].sort()).toEqual(['a', 'b']);
  expect(lab.schedule(using('three')).message).toContain("didn't find available persistent volumes to bind");
  await eventually(async () => {
    const reserved = await api.get(persistentVolumes, { name: first.node ?? '' });
    expect(reserved.spec?.claimRef).toMatchObject({ name: 'one', uid: 'uid-one' });
  });
  expect((await api.get(pods, key('first'))).spec?.nodeName).toBeUndefined();
  // What the binder does then.
  const body = { metadata: { annotations: bound }, spec: { volumeName: first.node } };
  await api.patch(persistentVolumeClaims, key('one'), { type: 'merge', body });
  await eventually(async () => expect((await api.get(pods, key('first'))).spec?.nodeName).toBe(first.node));
  expect((await api.get(pods, key('second'))).spec?.nodeName).toBeUndefined();
  stop();
});

test('the provisioner is told the node, a second pod of the claim follows, and a refusal gives the pod back', async () => {
  const { api, lab, stop } = await createStorageLab(['a', 'b'], api => {
    api.seed(persistentVolumeClaims, claim('data'));
  });
  const { node } = lab.schedule({ ...using('data'), name: 'first' });
  expect(lab.schedule({ ...using('data'), name: 'second' })).toEqual({ node });
  await eventually(async () => {
    const { metadata } = await api.get(persistentVolumeClaims, key('data'));
    expect(metadata.annotations?.[selected]).toBe(node);
  });
  await eventually(async () => {
    // The provisioner cannot: it takes the node away again.
    const body = { metadata: { annotations: { [selected]: null } } };
    await api.patch(persistentVolumeClaims, key('data'), { type: 'merge', body });
    expect(lab.events).toContainEqual({
      pod: 'first',
      reason: 'FailedScheduling',
      message: 'provisioning failed for PVC "data"',
    });
  });
  stop();
});

test('a class may be restricted to some topologies', async () => {
  const { lab, stop } = await createStorageLab(['a', 'b'], api => {
    const matchLabelExpressions = [{ key: 'kubernetes.io/hostname', values: ['b'] }];
    api.seed(storageClasses, {
      metadata: { name: 'somewhere' },
      provisioner: 'example.com/disk',
      volumeBindingMode: 'WaitForFirstConsumer',
      allowedTopologies: [{ matchLabelExpressions }],
    });
    api.seed(persistentVolumeClaims, claim('data', { storageClassName: 'somewhere' }));
  });
  expect(lab.schedule(using('data'))).toEqual({ node: 'b' });
  stop();
});

describe('of a driver that publishes its capacity', () => {
  const room = (name: string, more: Partial<CSIStorageCapacity>): CSIStorageCapacity => ({
    metadata: { namespace: 'default', name },
    storageClassName: 'late',
    nodeTopology: { matchLabels: { 'kubernetes.io/hostname': name } },
    ...more,
  });
  const seed =
    (storageCapacity: boolean, ...rooms: CSIStorageCapacity[]) =>
    (api: MemoryObjects): void => {
      api.seed(csiDrivers, { metadata: { name: 'example.com/disk' }, spec: { storageCapacity } });
      api.seed(persistentVolumeClaims, claim('data'));
      for (const each of rooms) api.seed(csiStorageCapacities, each);
    };
  const short = 'node(s) did not have enough free storage';

  test.each<[string, boolean, CSIStorageCapacity[], { node?: string; message?: string }]>([
    ['goes where there is room', true, [room('a', { capacity: '1Mi' }), room('b', { capacity: '1Gi' })], { node: 'b' }],
    ['goes nowhere while nothing is said', true, [], { message: `2 ${short}` }],
    ['is not held up when the driver does not ask for it', false, [], { node: 'a' }],
    [
      'needs room for the one volume, not only in sum',
      true,
      [room('a', { capacity: '9Gi', maximumVolumeSize: '512Mi' })],
      { message: `2 ${short}` },
    ],
    [
      'needs room in its own class',
      true,
      [room('a', { capacity: '9Gi', storageClassName: 'other' })],
      { message: short },
    ],
    [
      'needs room that its node reaches',
      true,
      [{ metadata: room('a', {}).metadata ?? {}, storageClassName: 'late', capacity: '9Gi' }],
      { message: short },
    ],
  ])('a pod %s', async (_what, asks, rooms, { node, message }) => {
    const { lab, stop } = await createStorageLab(['a', 'b'], seed(asks, ...rooms));
    const outcome = lab.schedule(using('data'));
    if (node) expect(outcome).toEqual({ node });
    else expect(outcome.message).toContain(message);
    stop();
  });

  test('a pod is tried again when there is more room, and only then', async () => {
    const { api, lab, told, stop } = await createStorageLab(['a'], seed(true, room('a', { capacity: '1Mi' })));
    expect(lab.schedule(using('data')).message).toContain(`1 ${short}`);
    told.length = 0;
    const grow = (capacity: string) => api.patch(csiStorageCapacities, key('a'), { type: 'merge', body: { capacity } });
    await grow('512Ki');
    await grow('2Gi');
    await eventually(() => expect(told).toEqual(['CSIStorageCapacityGrowth']));
    expect(lab.schedule(using('data'))).toEqual({ node: 'a' });
    stop();
  });
});

test('a volume with a zone is used in that zone', async () => {
  const zone = 'topology.kubernetes.io/zone';
  const seed = (value: string) => (api: MemoryObjects) => {
    api.seed(persistentVolumes, volume('v', {}, { [zone]: value }));
    api.seed(persistentVolumeClaims, boundClaim('data', 'v'));
  };
  const other = await createStorageLab(['a'], seed('z1__z2'), { [zone]: 'z3' });
  expect(other.lab.schedule(using('data')).message).toContain('1 node(s) had no available volume zone');
  other.stop();
  const same = await createStorageLab(['a'], seed('z1__z2'), { [zone]: 'z2' });
  expect(same.lab.schedule(using('data'))).toEqual({ node: 'a' });
  same.stop();
});

test('a ReadWriteOncePod claim is for one pod', async () => {
  const { lab, stop } = await createStorageLab(['a', 'b'], api => {
    api.seed(persistentVolumes, volume('v'));
    api.seed(persistentVolumeClaims, boundClaim('data', 'v', ['ReadWriteOncePod']));
  });
  expect(lab.schedule(using('data')).node).toBeDefined();
  expect(lab.schedule(using('data')).message).toContain(
    'node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode',
  );
  stop();
});

test('a node takes only so many volumes of a CSI driver', async () => {
  const { lab, stop } = await createStorageLab(['a'], api => {
    api.seed(csiNodes, {
      metadata: { name: 'a' },
      spec: { drivers: [{ name: 'example.com/disk', nodeID: 'a', allocatable: { count: 2 } }] },
    });
    for (const name of ['one', 'two', 'three']) {
      api.seed(persistentVolumes, volume(name, { csi: { driver: 'example.com/disk', volumeHandle: name } }));
      api.seed(persistentVolumeClaims, boundClaim(name, name));
    }
  });
  expect(lab.schedule(using('one'))).toEqual({ node: 'a' });
  expect(lab.schedule(using('two'))).toEqual({ node: 'a' });
  expect(lab.schedule(using('three')).message).toContain('1 node(s) exceed max volume count');
  // A volume that is there already takes no further place.
  expect(lab.schedule(using('one', 'two'))).toEqual({ node: 'a' });
  stop();
});

test('a pod that was refused for its claim is tried again when a claim changes', () => {
  const { scheduler } = createLab([makeNode('a')]);
  const refused = makePod(using('data'));
  scheduler.enqueue(refused, false);
  expect(scheduler.scheduleOne()).toBe(true);
  const waiting = scheduler.queue.get(refused.metadata.uid);
  const isRelevant = (event: 'ClaimChange' | 'CSIStorageCapacityGrowth' | 'NodeTaints') =>
    waiting &&
    scheduler.frameworkOf('default-scheduler')?.isRelevant({ event }, waiting.info, new Set(['VolumeBinding']));
  expect(isRelevant('ClaimChange')).toBe(true);
  expect(isRelevant('CSIStorageCapacityGrowth')).toBe(true);
  expect(isRelevant('NodeTaints')).toBe(false);
});
