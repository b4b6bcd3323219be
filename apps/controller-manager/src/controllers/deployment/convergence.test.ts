import { deployments, pods, replicaSets, type Deployment } from '@naru/api';
import { MemoryObjects, eventually } from '@naru/testing';
import { makeDeployment, makeReplicaSet, startControllers, type Cluster } from '../../fixtures';
import { convergenceSuite, simulatedKubelet } from '../../simulation';
import { simulateKubelet } from '../../simulated-kubelet';
import { replicaSetController } from '../replicaset/replicaset-controller';
import { deploymentController } from './deployment-controller';

const key = { namespace: 'default', name: 'web' };
const both = [deploymentController, replicaSetController];

async function change(api: MemoryObjects, body: unknown): Promise<void> {
  await api.patch(deployments, key, { type: 'merge', body });
}

const withImage = (image: string) => ({
  spec: { template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'main', image }] } } },
});

async function expectRolledOut(cluster: Cluster, replicas: number, image: string): Promise<Deployment> {
  return eventually(async () => {
    const deployment = await cluster.api.get(deployments, key);
    expect(deployment.status).toMatchObject({
      replicas,
      updatedReplicas: replicas,
      observedGeneration: deployment.metadata.generation,
    });
    expect(deployment.status?.availableReplicas ?? 0).toBe(replicas);
    const alive = (await cluster.api.list(pods)).items.filter(pod => !pod.metadata.deletionTimestamp);
    expect(alive.map(pod => pod.spec?.containers[0]?.image)).toEqual(Array(replicas).fill(image));
    return deployment;
  });
}

test('a deployment that adopts a set counts on from its revision, though no number holds that exactly', async () => {
  const api = new MemoryObjects();
  const kubelet = await simulateKubelet(api);
  const cluster = await startControllers(both, { api });
  const revision = 'deployment.kubernetes.io/revision';
  // Labelled as the Deployment selects, and of another template.
  const template = { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'main', image: 'web:0' }] } };
  const before = makeReplicaSet('before', 1, { spec: { selector: { matchLabels: { app: 'web' } }, template } });
  Object.assign(before.metadata, { labels: { app: 'web' }, annotations: { [revision]: '3546343826724305832' } });
  api.seed(replicaSets, before);
  api.seed(deployments, makeDeployment('web', { replicas: 1 }));
  await eventually(async () => {
    const { metadata } = await api.get(deployments, key);
    expect(metadata.annotations?.[revision]).toBe('3546343826724305833');
    expect((await api.get(replicaSets, { ...key, name: 'before' })).spec?.replicas).toBe(0);
  });
  await cluster.stop();
  kubelet.stop();
});

test('a deployment creates its pods, scales, rolls over within its bounds, and rolls back', async () => {
  const api = new MemoryObjects();
  const kubelet = await simulateKubelet(api);
  const cluster = await startControllers(both, { api });
  api.seed(deployments, makeDeployment('web', { replicas: 4 }));
  const first = await expectRolledOut(cluster, 4, 'web:1');
  expect(first.metadata?.annotations?.['deployment.kubernetes.io/revision']).toBe('1');
  expect(cluster.events.some(({ reason }) => reason === 'ScalingReplicaSet')).toBe(true);

  await change(api, { spec: { replicas: 6 } });
  await expectRolledOut(cluster, 6, 'web:1');
  await change(api, withImage('web:2'));
  await expectRolledOut(cluster, 6, 'web:2');
  // maxSurge 25 % of 6, rounded up.
  expect(kubelet.maxAlive()).toBeLessThanOrEqual(8);

  await change(api, withImage('web:1'));
  const back = await expectRolledOut(cluster, 6, 'web:1');
  await eventually(async () => {
    const { metadata } = await api.get(deployments, key);
    expect(metadata.annotations?.['deployment.kubernetes.io/revision']).toBe('3');
  });
  expect(back.status?.conditions).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ type: 'Available', status: 'True' }),
      expect.objectContaining({ type: 'Progressing', status: 'True', reason: 'NewReplicaSetAvailable' }),
    ]),
  );
  const sets = (await api.list(replicaSets)).items;
  expect(sets).toHaveLength(2);
  await cluster.stop();
  kubelet.stop();
});

test('a roll-out to an image that never becomes ready keeps the old pods serving', async () => {
  const api = new MemoryObjects();
  const kubelet = await simulateKubelet(api, { isReady: pod => pod.spec?.containers[0]?.image !== 'web:broken' });
  const cluster = await startControllers(both, { api });
  api.seed(deployments, makeDeployment('web', { replicas: 4 }));
  await expectRolledOut(cluster, 4, 'web:1');
  await change(api, withImage('web:broken'));
  await eventually(async () => {
    const { status } = await api.get(deployments, key);
    expect(status).toMatchObject({ updatedReplicas: 2, availableReplicas: 3, unavailableReplicas: 2 });
  });
  await cluster.stop();
  kubelet.stop();
});

test('Recreate lets the old pods go before the new ones come', async () => {
  const api = new MemoryObjects();
  const kubelet = await simulateKubelet(api);
  const cluster = await startControllers(both, { api });
  api.seed(deployments, makeDeployment('web', { replicas: 3, strategy: { type: 'Recreate' } }));
  await expectRolledOut(cluster, 3, 'web:1');
  await change(api, withImage('web:2'));
  await expectRolledOut(cluster, 3, 'web:2');
  expect(kubelet.maxAlive()).toBe(3);
  await cluster.stop();
  kubelet.stop();
});

test('a paused deployment scales but does not roll', async () => {
  const api = new MemoryObjects();
  const kubelet = await simulateKubelet(api);
  const cluster = await startControllers(both, { api });
  api.seed(deployments, makeDeployment('web', { replicas: 2 }));
  await expectRolledOut(cluster, 2, 'web:1');
  await change(api, { spec: { paused: true } });
  await change(api, withImage('web:2'));
  await change(api, { spec: { replicas: 5 } });
  await eventually(async () => {
    const images = (await api.list(pods)).items.map(pod => pod.spec?.containers[0]?.image);
    expect(images).toEqual(Array(5).fill('web:1'));
  });
  await change(api, { spec: { paused: false } });
  await expectRolledOut(cluster, 5, 'web:2');
  await cluster.stop();
  kubelet.stop();
});

test('history beyond the limit is pruned', async () => {
  const api = new MemoryObjects();
  const kubelet = await simulateKubelet(api);
  const cluster = await startControllers(both, { api });
  api.seed(deployments, makeDeployment('web', { replicas: 1, revisionHistoryLimit: 1 }));
  await expectRolledOut(cluster, 1, 'web:1');
  for (const image of ['web:2', 'web:3', 'web:4']) {
    await change(api, withImage(image));
    await expectRolledOut(cluster, 1, image);
  }
  await eventually(async () => expect((await api.list(replicaSets)).items).toHaveLength(2));
  await cluster.stop();
  kubelet.stop();
});

convergenceSuite(both, {
  objects: api => void api.seed(deployments, makeDeployment('web', { replicas: 4 })),
  others: [simulatedKubelet()],
  steps: [
    client => client.patch(deployments, key, { type: 'merge', body: withImage('web:2') }),
    client => client.patch(deployments, key, { type: 'merge', body: { spec: { replicas: 5 } } }),
    client => client.patch(deployments, key, { type: 'merge', body: withImage('web:3') }),
  ],
  async expectEnd(api) {
    const { status, metadata } = await api.get(deployments, key);
    expect(status).toMatchObject({ replicas: 5, updatedReplicas: 5, availableReplicas: 5 });
    expect(status?.observedGeneration).toBe(metadata.generation);
    const images = (await api.list(pods)).items.map(pod => pod.spec?.containers[0]?.image);
    expect(images).toEqual(Array(5).fill('web:3'));
    const sizes = (await api.list(replicaSets)).items.map(set => set.status?.replicas ?? 0);
    expect(sizes.sort()).toEqual([0, 0, 5].slice(-sizes.length));
  },
  // 25 % more than wanted, rounded up.
  async always(api) {
    const alive = (await api.list(pods)).items.filter(pod => !pod.metadata.deletionTimestamp);
    expect(alive.length).toBeLessThanOrEqual(7);
  },
});
