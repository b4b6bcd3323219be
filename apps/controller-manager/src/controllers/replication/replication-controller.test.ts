import { pods, replicationControllers } from '@naru/api';
import { MemoryObjects, eventually } from '@naru/testing';
import { makePod, startControllers } from '../../fixtures';
import { convergenceSuite, simulatedKubelet } from '../../simulation';
import { simulateKubelet } from '../../simulated-kubelet';
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

const oldKey = { namespace: 'default', name: 'old' };

convergenceSuite([replicationController], {
  objects(api) {
    api.seed(pods, makePod('stray', { labels: { app: 'old' } }));
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
