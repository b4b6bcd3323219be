import { pods, replicaSets, replicationControllers } from '@naru/api';
import { MemoryObjects, eventually } from '@naru/testing';
import { makePod, makeReplicaSet, startControllers } from '../../fixtures';
import { convergenceSuite, simulatedKubelet } from '../../simulation';
import { simulateKubelet } from '../../simulated-kubelet';
import { replicaSetController } from '../replicaset/replicaset-controller';
import { replicationController } from './replication-controller';

test('a replication controller keeps its number of pods, and adopts what it selects', async () => {
  const api = new MemoryObjects();
  const kubelet = await simulateKubelet(api);
  const cluster = await startControllers([replicationController], { api });
  const key = { namespace: 'default', name: 'old' };
  api.seed(pods, makePod('stray', { labels: { app: 'old' } }));
  api.seed(replicationControllers, {
    metadata: { ...key },
    spec: {
      replicas: 3,
      selector: { app: 'old' },
      template: { metadata: { labels: { app: 'old' } }, spec: { containers: [{ name: 'main', image: 'web:1' }] } },
    },
  });
  const expectPods = (count: number) =>
    eventually(async () => {
      expect((await api.list(pods)).items).toHaveLength(count);
      expect((await api.get(replicationControllers, key)).status).toMatchObject({ replicas: count });
    });
  await expectPods(3);
  const adopted = await api.get(pods, { namespace: 'default', name: 'stray' });
  expect(adopted.metadata.ownerReferences).toMatchObject([{ kind: 'ReplicationController', name: 'old' }]);
  await api.patch(replicationControllers, key, { type: 'merge', body: { spec: { replicas: 1 } } });
  await expectPods(1);
  await cluster.stop();
  kubelet.stop();
});

test.each([
  { kind: 'ReplicationController', controller: replicationController, seed: seedReplicationController },
  { kind: 'ReplicaSet', controller: replicaSetController, seed: seedReplicaSet },
])('a $kind lets go of a pod that it no longer selects, and makes another', async ({ kind, controller, seed }) => {
  const api = new MemoryObjects();
  const kubelet = await simulateKubelet(api);
  const cluster = await startControllers([controller], { api });
  seed(api);
  const all = () => api.list(pods).then(({ items }) => items);
  const [pod] = await eventually(async () => {
    const items = await all();
    expect(items.map(({ metadata }) => metadata.ownerReferences?.[0]?.kind)).toEqual([kind]);
    return items;
  });
  const { name, uid } = pod!.metadata;
  await api.patch(
    pods,
    { namespace: 'default', name },
    { type: 'merge', body: { metadata: { labels: { app: 'new' } } } },
  );
  await eventually(async () => {
    const items = await all();
    expect(items).toHaveLength(2);
    const released = items.find(({ metadata }) => metadata.uid === uid);
    expect(released?.metadata.ownerReferences ?? []).toEqual([]);
  });
  await cluster.stop();
  kubelet.stop();
});

function seedReplicaSet(api: MemoryObjects): void {
  api.seed(replicaSets, makeReplicaSet('old', 1));
}

function seedReplicationController(api: MemoryObjects): void {
  const template = { metadata: { labels: { app: 'old' } }, spec: { containers: [{ name: 'main', image: 'web:1' }] } };
  api.seed(replicationControllers, {
    metadata: { namespace: 'default', name: 'old' },
    spec: { replicas: 1, selector: { app: 'old' }, template },
  });
}

const oldKey = { namespace: 'default', name: 'old' };

convergenceSuite([replicationController], {
  objects(api) {
    // What runs already nobody makes ready, and which two stay depends on which are ready first.
    api.seed(pods, makePod('stray', { labels: { app: 'old' }, ready: true }));
    const template = { metadata: { labels: { app: 'old' } }, spec: { containers: [{ name: 'main', image: 'web:1' }] } };
    api.seed(replicationControllers, {
      metadata: { ...oldKey },
      spec: { replicas: 3, selector: { app: 'old' }, template },
    });
  },
  others: [simulatedKubelet()],
  steps: [
    client => client.patch(replicationControllers, oldKey, { type: 'merge', body: { spec: { replicas: 6 } } }),
    client => client.patch(replicationControllers, oldKey, { type: 'merge', body: { spec: { replicas: 2 } } }),
  ],
  async expectEnd(api) {
    expect((await api.list(pods)).items).toHaveLength(2);
    expect((await api.get(replicationControllers, oldKey)).status).toMatchObject({ replicas: 2, readyReplicas: 2 });
  },
});
