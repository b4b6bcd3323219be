import { configMaps, pods, replicaSets, type KubeObject, type ResourceType, type Stored } from '@naru/api';
import { MemoryObjects, eventually } from '@naru/testing';
import { makePod, makeReplicaSet, startControllers } from '../../fixtures';
import { convergenceSuite } from '../../simulation';
import { garbageCollectorController } from './garbage-collector-controller';

const reference = (name: string, extra = {}) => ({
  apiVersion: 'apps/v1',
  kind: 'ReplicaSet',
  name,
  uid: name,
  ...extra,
});
const key = (name: string) => ({ namespace: 'default', name });
const exists = (api: MemoryObjects, type: ResourceType, name: string) =>
  api.get(type, key(name)).then(
    () => true,
    () => false,
  );
const owned = (name: string, ...owners: object[]) => makePod(name, { metadata: { ownerReferences: owners as never } });

async function start(seed: (api: MemoryObjects) => void) {
  const api = new MemoryObjects();
  seed(api);
  return { api, cluster: await startControllers([garbageCollectorController], { api }) };
}

test('dependents follow their owner, and theirs follow them', async () => {
  const { api, cluster } = await start(api => {
    api.seed(replicaSets, makeReplicaSet('rs', 1));
    const pod = api.seed(pods, owned('p', reference('rs')));
    const owner = { apiVersion: 'v1', kind: 'Pod', name: 'p', uid: pod.metadata.uid };
    api.seed(configMaps, { metadata: { namespace: 'default', name: 'cm', ownerReferences: [owner] } });
    api.seed(pods, makePod('free'));
  });
  await api.delete(replicaSets, key('rs'));
  await eventually(async () => {
    expect(await exists(api, pods, 'p')).toBe(false);
    expect(await exists(api, configMaps, 'cm')).toBe(false);
  });
  expect(await exists(api, pods, 'free')).toBe(true);
  await cluster.stop();
});

test('an object whose owner was gone before anyone looked is collected', async () => {
  const { api, cluster } = await start(api => void api.seed(pods, owned('p', reference('never-there'))));
  await eventually(async () => expect(await exists(api, pods, 'p')).toBe(false));
  await cluster.stop();
});

test('with one of two owners left only the reference goes', async () => {
  const { api, cluster } = await start(api => {
    for (const name of ['a', 'b']) api.seed(replicaSets, makeReplicaSet(name, 1));
    api.seed(pods, owned('p', reference('a'), reference('b')));
  });
  await api.delete(replicaSets, key('a'));
  await eventually(async () => {
    const { metadata } = await api.get(pods, key('p'));
    expect(metadata.ownerReferences).toEqual([reference('b')]);
  });
  await cluster.stop();
});

const deletingWith = (finalizer: string): Stored<KubeObject>['metadata'] => ({
  namespace: 'default',
  name: 'rs',
  uid: 'rs',
  resourceVersion: '1',
  finalizers: [finalizer],
  deletionTimestamp: '2026-01-01T00:00:00Z',
});

test('foreground deletion waits for the dependents that block it', async () => {
  const { api, cluster } = await start(api => {
    api.seed(replicaSets, { ...makeReplicaSet('rs', 1), metadata: deletingWith('foregroundDeletion') });
    const held = owned('p', reference('rs', { blockOwnerDeletion: true }));
    api.seed(pods, { ...held, metadata: { ...held.metadata, finalizers: ['test/hold'] } });
  });
  await eventually(async () => expect((await api.get(pods, key('p'))).metadata.deletionTimestamp).toBeDefined());
  expect(await exists(api, replicaSets, 'rs')).toBe(true);
  await api.patch(pods, key('p'), { type: 'merge', body: { metadata: { finalizers: [] } } });
  await eventually(async () => expect(await exists(api, replicaSets, 'rs')).toBe(false));
  await cluster.stop();
});

test('three that own each other in a circle all go', async () => {
  const { api, cluster } = await start(api => {
    for (const [name, owner] of [
      ['a', 'c'],
      ['b', 'a'],
      ['c', 'b'],
    ] as const)
      api.seed(configMaps, {
        metadata: {
          namespace: 'default',
          name,
          uid: name,
          // The API in memory adds none.
          finalizers: ['foregroundDeletion'],
          ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: owner, uid: owner, blockOwnerDeletion: true }],
        },
      });
  });
  await api.delete(configMaps, key('a'));
  await eventually(async () => expect((await api.list(configMaps)).items).toEqual([]));
  await cluster.stop();
});

test('orphaned dependents stay, without the reference', async () => {
  const { api, cluster } = await start(api => {
    api.seed(replicaSets, { ...makeReplicaSet('rs', 1), metadata: deletingWith('orphan') });
    api.seed(pods, owned('p', reference('rs')));
  });
  await eventually(async () => expect(await exists(api, replicaSets, 'rs')).toBe(false));
  expect((await api.get(pods, key('p'))).metadata.ownerReferences).toEqual([]);
  await cluster.stop();
});

convergenceSuite([garbageCollectorController], {
  objects(api) {
    for (const name of ['rs', 'other']) api.seed(replicaSets, makeReplicaSet(name, 1));
    for (const name of ['p1', 'p2']) {
      api.seed(pods, owned(name, reference('rs')));
      const owner = { apiVersion: 'v1', kind: 'Pod', name, uid: `uid-${name}` };
      api.seed(configMaps, { metadata: { namespace: 'default', name, ownerReferences: [owner] } });
    }
    api.seed(pods, owned('both', reference('rs'), reference('other')));
  },
  steps: [client => client.delete(replicaSets, key('rs'))],
  async expectEnd(api) {
    expect((await api.list(configMaps)).items).toEqual([]);
    const left = (await api.list(pods)).items;
    expect(left.map(({ metadata }) => metadata.name)).toEqual(['both']);
    expect(left[0]?.metadata.ownerReferences).toEqual([reference('other')]);
  },
});
