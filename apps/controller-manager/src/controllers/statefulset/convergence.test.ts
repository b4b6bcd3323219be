import { controllerRevisions, persistentVolumeClaims, pods, statefulSets, type StatefulSet } from '@naru/api';
import { MemoryObjects, eventually } from '@naru/testing';
import { startControllers } from '../../fixtures';
import { convergenceSuite, simulatedKubelet } from '../../simulation';
import { simulateKubelet } from '../../simulated-kubelet';
import { statefulSetController } from './statefulset-controller';

const key = { namespace: 'default', name: 'db' };
type Spec = NonNullable<StatefulSet['spec']>;

const templateOf = (image: string): Spec['template'] => ({
  metadata: { labels: { app: 'db' } },
  spec: { containers: [{ name: 'main', image }] },
});

function makeSet(spec: Partial<Spec> = {}): StatefulSet {
  return {
    metadata: { ...key },
    spec: {
      replicas: 3,
      serviceName: 'db',
      podManagementPolicy: 'OrderedReady',
      selector: { matchLabels: { app: 'db' } },
      template: templateOf('web:1'),
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 0 } },
      ...spec,
    },
  };
}

async function start(spec: Partial<Spec> = {}) {
  const api = new MemoryObjects();
  const order: string[] = [];
  const watcher = api.informers().informer({ type: pods });
  watcher.addHandler({
    onAdd: ({ metadata }) => void order.push(`+${metadata.name}`),
    onDelete: ({ metadata }) => void order.push(`-${metadata.name}`),
  });
  const abort = new AbortController();
  await watcher.start(abort.signal);
  const kubelet = await simulateKubelet(api);
  const cluster = await startControllers([statefulSetController], { api });
  api.seed(statefulSets, makeSet(spec));
  const stop = async (): Promise<void> => {
    await cluster.stop();
    kubelet.stop();
    abort.abort();
  };
  return { api, order, stop };
}

const change = (api: MemoryObjects, spec: unknown) => api.patch(statefulSets, key, { type: 'merge', body: { spec } });

async function expectPods(api: MemoryObjects, wanted: Record<string, string>): Promise<void> {
  await eventually(async () => {
    const alive = (await api.list(pods)).items;
    const found = Object.fromEntries(alive.map(pod => [pod.metadata.name, pod.spec?.containers[0]?.image]));
    expect(found).toEqual(wanted);
    const { status, metadata } = await api.get(statefulSets, key);
    const replicas = Object.keys(wanted).length;
    expect(status).toMatchObject({ replicas, availableReplicas: replicas, observedGeneration: metadata.generation });
  });
}

test('pods come up in order, are updated from the top, and go down in reverse', async () => {
  const { api, order, stop } = await start();
  await expectPods(api, { 'db-0': 'web:1', 'db-1': 'web:1', 'db-2': 'web:1' });
  expect(order.splice(0)).toEqual(['+db-0', '+db-1', '+db-2']);
  const [first] = (await api.list(pods)).items;
  expect(first?.spec).toMatchObject({ hostname: 'db-0', subdomain: 'db' });
  expect(first?.metadata.labels).toMatchObject({
    'statefulset.kubernetes.io/pod-name': 'db-0',
    'apps.kubernetes.io/pod-index': '0',
  });
  await change(api, { template: templateOf('web:2') });
  await expectPods(api, { 'db-0': 'web:2', 'db-1': 'web:2', 'db-2': 'web:2' });
  expect(order.splice(0)).toEqual(['-db-2', '+db-2', '-db-1', '+db-1', '-db-0', '+db-0']);
  await eventually(async () => {
    const { status } = await api.get(statefulSets, key);
    expect(status?.currentRevision).toBe(status?.updateRevision);
    expect(status?.updatedReplicas).toBe(3);
  });
  await change(api, { replicas: 1 });
  await expectPods(api, { 'db-0': 'web:2' });
  expect(order.splice(0)).toEqual(['-db-2', '-db-1']);
  await stop();
});

test('a partition keeps the lower pods at the old revision, also when they are made anew', async () => {
  const { api, stop } = await start({ updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 2 } } });
  await expectPods(api, { 'db-0': 'web:1', 'db-1': 'web:1', 'db-2': 'web:1' });
  await change(api, { template: templateOf('web:2') });
  await expectPods(api, { 'db-0': 'web:1', 'db-1': 'web:1', 'db-2': 'web:2' });
  await api.delete(pods, { namespace: 'default', name: 'db-0' });
  await expectPods(api, { 'db-0': 'web:1', 'db-1': 'web:1', 'db-2': 'web:2' });
  await change(api, { updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 0 } } });
  await expectPods(api, { 'db-0': 'web:2', 'db-1': 'web:2', 'db-2': 'web:2' });
  await stop();
});

test('each pod gets its claims, which stay or go by the retention policy', async () => {
  const { api, stop } = await start({
    podManagementPolicy: 'Parallel',
    persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Delete' },
    volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: { accessModes: ['ReadWriteOnce'] } }],
  });
  await expectPods(api, { 'db-0': 'web:1', 'db-1': 'web:1', 'db-2': 'web:1' });
  const claims = (await api.list(persistentVolumeClaims)).items;
  expect(claims.map(({ metadata }) => metadata.name).sort()).toEqual(['data-db-0', 'data-db-1', 'data-db-2']);
  const [pod] = (await api.list(pods)).items;
  expect(pod?.spec?.volumes?.[0]?.persistentVolumeClaim?.claimName).toBe(`data-${pod?.metadata.name}`);
  await change(api, { replicas: 2 });
  await eventually(async () => {
    const claim = await api.get(persistentVolumeClaims, { namespace: 'default', name: 'data-db-2' });
    expect(claim.metadata.ownerReferences).toMatchObject([{ kind: 'Pod', name: 'db-2' }]);
  });
  await stop();
});

convergenceSuite([statefulSetController], {
  objects: api =>
    void api.seed(
      statefulSets,
      makeSet({ volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: { accessModes: ['ReadWriteOnce'] } }] }),
    ),
  others: [simulatedKubelet()],
  steps: [
    client => client.patch(statefulSets, key, { type: 'merge', body: { spec: { template: templateOf('web:2') } } }),
    client => client.patch(statefulSets, key, { type: 'merge', body: { spec: { replicas: 4 } } }),
    client => client.delete(pods, { namespace: 'default', name: 'db-0' }),
  ],
  async expectEnd(api) {
    const found = (await api.list(pods)).items.map(pod => [pod.metadata.name, pod.spec?.containers[0]?.image]);
    expect(found.sort()).toEqual(['db-0', 'db-1', 'db-2', 'db-3'].map(name => [name, 'web:2']));
    const { status } = await api.get(statefulSets, key);
    expect(status).toMatchObject({ replicas: 4, readyReplicas: 4, updatedReplicas: 4 });
    expect(status?.currentRevision).toBe(status?.updateRevision);
    const claims = (await api.list(persistentVolumeClaims)).items.map(({ metadata }) => metadata.name);
    expect(claims.sort()).toEqual([0, 1, 2, 3].map(at => `data-db-${at}`));
    expect((await api.list(controllerRevisions)).items).toHaveLength(2);
  },
});
