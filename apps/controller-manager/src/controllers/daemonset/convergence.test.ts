import { controllerRevisions, daemonSets, nodes, pods, type DaemonSet, type Pod } from '@naru/api';
import { MemoryObjects, eventually } from '@naru/testing';
import { makeNode, startControllers } from '../../fixtures';
import { convergenceSuite, simulatedKubelet } from '../../simulation';
import { simulateKubelet } from '../../simulated-kubelet';
import { daemonSetController } from './daemonset-controller';
import { targetNode } from './node-fit';

const key = { namespace: 'default', name: 'agent' };

function makeSet(image = 'web:1'): DaemonSet {
  const labels = { app: 'agent' };
  return {
    metadata: { ...key },
    spec: {
      selector: { matchLabels: labels },
      revisionHistoryLimit: 1,
      template: { metadata: { labels }, spec: { containers: [{ name: 'main', image }] } },
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } },
    },
  };
}

async function start(isReady: (pod: Pod) => boolean = () => true) {
  const api = new MemoryObjects();
  for (const name of ['a', 'b', 'c']) api.seed(nodes, makeNode(name));
  const kubelet = await simulateKubelet(api, { isReady });
  const cluster = await startControllers([daemonSetController], { api });
  const stop = async (): Promise<void> => {
    await cluster.stop();
    kubelet.stop();
  };
  return { api, stop };
}

async function expectOn(api: MemoryObjects, wanted: string[], image: string): Promise<void> {
  await eventually(async () => {
    const alive = (await api.list(pods)).items;
    expect(alive.map(pod => [targetNode(pod), pod.spec?.containers[0]?.image]).sort()).toEqual(
      wanted.map(node => [node, image]),
    );
    const { status, metadata } = await api.get(daemonSets, key);
    expect(status).toMatchObject({
      desiredNumberScheduled: wanted.length,
      updatedNumberScheduled: wanted.length,
      numberAvailable: wanted.length,
      observedGeneration: metadata.generation,
    });
  });
}

const setImage = (api: MemoryObjects, image: string) =>
  api.patch(daemonSets, key, { type: 'merge', body: { spec: { template: makeSet(image).spec?.template } } });

test('a daemon set follows the nodes, rolls over, goes back and forgets old history', async () => {
  const { api, stop } = await start();
  api.seed(daemonSets, makeSet());
  await expectOn(api, ['a', 'b', 'c'], 'web:1');
  await api.create(nodes, makeNode('d'));
  await expectOn(api, ['a', 'b', 'c', 'd'], 'web:1');
  await api.patch(
    nodes,
    { name: 'd' },
    { type: 'merge', body: { spec: { taints: [{ key: 'x', effect: 'NoExecute' }] } } },
  );
  await expectOn(api, ['a', 'b', 'c'], 'web:1');
  await setImage(api, 'web:2');
  await expectOn(api, ['a', 'b', 'c'], 'web:2');
  await setImage(api, 'web:1');
  await expectOn(api, ['a', 'b', 'c'], 'web:1');
  const rolledBack = (await api.list(controllerRevisions)).items;
  expect(rolledBack.map(({ revision }) => revision).sort()).toEqual([2, 3]);
  await setImage(api, 'web:3');
  await expectOn(api, ['a', 'b', 'c'], 'web:3');
  await eventually(async () => expect((await api.list(controllerRevisions)).items).toHaveLength(2));
  await stop();
});

test('what a revision remembers has its names in order, as clients compare it', async () => {
  const { api, stop } = await start();
  api.seed(daemonSets, makeSet());
  const data = await eventually(async () => {
    const [revision] = (await api.list(controllerRevisions)).items;
    return JSON.stringify(revision!.data);
  });
  expect(data).toMatch(
    /^{"spec":{"template":{"\$patch":"replace","metadata":{.*},"spec":{.*"containers":\[{"image":"web:1","name":/,
  );
  await stop();
});

test('a rollback in the middle of a roll-out replaces the new pods only', async () => {
  const { api, stop } = await start(pod => pod.spec?.containers[0]?.image !== 'foo:non-existent');
  api.seed(daemonSets, makeSet());
  await expectOn(api, ['a', 'b', 'c'], 'web:1');
  const before = (await api.list(pods)).items.map(({ metadata }) => metadata.uid);
  await setImage(api, 'foo:non-existent');
  const kept = await eventually(async () => {
    const { items } = await api.list(pods);
    expect(items.filter(pod => pod.spec?.containers[0]?.image === 'foo:non-existent')).toHaveLength(1);
    const old = items.filter(({ metadata }) => before.includes(metadata.uid) && !metadata.deletionTimestamp);
    expect(old).toHaveLength(2);
    return old.map(({ metadata }) => metadata.uid);
  });
  await setImage(api, 'web:1');
  await expectOn(api, ['a', 'b', 'c'], 'web:1');
  const after = (await api.list(pods)).items.map(({ metadata }) => metadata.uid);
  expect(after).toEqual(expect.arrayContaining(kept));
  await stop();
});

convergenceSuite([daemonSetController], {
  objects(api) {
    for (const name of ['a', 'b', 'c']) api.seed(nodes, makeNode(name));
    api.seed(daemonSets, makeSet());
  },
  others: [simulatedKubelet()],
  steps: [
    client => client.create(nodes, makeNode('d')),
    client =>
      client.patch(daemonSets, key, { type: 'merge', body: { spec: { template: makeSet('web:2').spec?.template } } }),
    client => client.delete(nodes, { name: 'a' }),
  ],
  async expectEnd(api) {
    // The pod of the node that is gone is the pod collector's.
    const found = (await api.list(pods)).items.map(pod => [targetNode(pod), pod.spec?.containers[0]?.image]);
    expect(found.filter(([node]) => node !== 'a').sort()).toEqual(['b', 'c', 'd'].map(node => [node, 'web:2']));
    const { status } = await api.get(daemonSets, key);
    expect(status).toMatchObject({ desiredNumberScheduled: 3, updatedNumberScheduled: 3, numberAvailable: 3 });
  },
});
