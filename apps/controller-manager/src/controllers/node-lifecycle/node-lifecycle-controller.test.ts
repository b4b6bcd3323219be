import { leases, nodes, pods, type Lease } from '@naru/api';
import { MemoryObjects, eventually } from '@naru/testing';
import { makeNode, makePod, startControllers } from '../../fixtures';
import { convergenceSuite, simulatedKubelet } from '../../simulation';
import { taintEvictionController } from '../taint-eviction/taint-eviction-controller';
import { nodeLifecycleController } from './node-lifecycle-controller';
import { readyStatus } from './taints';

const both = [nodeLifecycleController, taintEvictionController];
const config = { nodeMonitorGraceMs: 150 };
const lease = (name: string): Lease => ({
  metadata: { namespace: 'kube-node-lease', name },
  spec: { holderIdentity: name, renewTime: new Date().toISOString() },
});

const timers: NodeJS.Timeout[] = [];
afterEach(() => timers.splice(0).forEach(clearInterval));

/** Nodes whose leases are renewed until they are killed. */
function liveNodes(api: MemoryObjects, names: string[]) {
  const alive = new Set(names);
  for (const name of names) {
    api.seed(nodes, makeNode(name));
    api.seed(leases, lease(name));
  }
  const timer = setInterval(() => {
    for (const name of alive)
      void api.patch(leases, { namespace: 'kube-node-lease', name }, { type: 'merge', body: lease(name) });
  }, 30);
  timers.push(timer);
  return { kill: (...dead: string[]) => dead.forEach(name => alive.delete(name)) };
}

const taintsOf = async (api: MemoryObjects, name: string) =>
  ((await api.get(nodes, { name })).spec?.taints ?? []).map(({ key, effect }) => `${key}:${effect}`).sort();

test('a silent node is tainted, its pods leave the services at once and are evicted', async () => {
  const api = new MemoryObjects();
  const { kill } = liveNodes(api, ['a', 'b', 'c']);
  const tolerations = [{ key: 'node.kubernetes.io/unreachable', operator: 'Exists', tolerationSeconds: 1 }];
  api.seed(pods, makePod('moves', { nodeName: 'a', ready: true, spec: { tolerations } }));
  api.seed(pods, makePod('stays', { nodeName: 'a', ready: true, spec: { tolerations: [{ operator: 'Exists' }] } }));
  const cluster = await startControllers(both, { api, config });
  kill('a');
  await eventually(async () => {
    const node = await api.get(nodes, { name: 'a' });
    expect(readyStatus(node)).toBe('Unknown');
    expect(await taintsOf(api, 'a')).toEqual([
      'node.kubernetes.io/unreachable:NoExecute',
      'node.kubernetes.io/unreachable:NoSchedule',
    ]);
    const pod = await api.get(pods, { namespace: 'default', name: 'moves' });
    expect(pod.status?.conditions?.[0]).toMatchObject({ type: 'Ready', status: 'False' });
  });
  await eventually(async () => {
    const pod = await api.get(pods, { namespace: 'default', name: 'moves' });
    expect(pod.metadata.deletionTimestamp).toBeDefined();
    expect(pod.status?.conditions).toContainEqual(expect.objectContaining({ reason: 'DeletionByTaintManager' }));
  });
  expect((await api.get(pods, { namespace: 'default', name: 'stays' })).metadata.deletionTimestamp).toBeUndefined();
  expect(await taintsOf(api, 'b')).toEqual([]);
  await cluster.stop();
});

test('when all nodes are silent none is evicted', async () => {
  const api = new MemoryObjects();
  const { kill } = liveNodes(api, ['a', 'b']);
  api.seed(pods, makePod('p', { nodeName: 'a', ready: true }));
  const cluster = await startControllers(both, { api, config });
  kill('a', 'b');
  await eventually(async () => {
    for (const name of ['a', 'b'])
      expect(await taintsOf(api, name)).toEqual(['node.kubernetes.io/unreachable:NoSchedule']);
  });
  expect((await api.get(pods, { namespace: 'default', name: 'p' })).metadata.deletionTimestamp).toBeUndefined();
  await cluster.stop();
});

test('nodes are welcomed and seen off in events', async () => {
  const cluster = await startControllers([nodeLifecycleController]);
  cluster.api.seed(nodes, makeNode('a'));
  const expectEvent = (reason: string, what: string) =>
    eventually(() => expect(cluster.events).toContainEqual({ about: 'a', reason, message: `Node a event: ${what}` }));
  await expectEvent('RegisteredNode', 'Registered Node a in Controller');
  await cluster.api.delete(nodes, { name: 'a' });
  await expectEvent('RemovingNode', 'Removing Node a from Controller');
  expect(cluster.events.filter(({ reason }) => reason === 'RegisteredNode')).toHaveLength(1);
  await cluster.stop();
});

test('a node that comes back loses its taints', async () => {
  const api = new MemoryObjects();
  const taints = ['NoSchedule', 'NoExecute'].map(effect => ({ key: 'node.kubernetes.io/unreachable', effect }));
  api.seed(nodes, makeNode('a', { spec: { taints: [...taints, { key: 'mine', effect: 'NoSchedule' }] } }));
  const cluster = await startControllers([nodeLifecycleController], { api });
  await eventually(async () => expect(await taintsOf(api, 'a')).toEqual(['mine:NoSchedule']));
  await cluster.stop();
});

test('a node with a longer lease is given that long', async () => {
  const api = new MemoryObjects();
  api.seed(nodes, makeNode('slow'));
  api.seed(leases, { ...lease('slow'), spec: { ...lease('slow').spec, leaseDurationSeconds: 40 } });
  const { kill } = liveNodes(api, ['quick', 'other']);
  const cluster = await startControllers(both, { api, config });
  kill('quick');
  await eventually(async () => expect(readyStatus(await api.get(nodes, { name: 'quick' }))).toBe('Unknown'));
  expect(readyStatus(await api.get(nodes, { name: 'slow' }))).toBe('True');
  await cluster.stop();
});

convergenceSuite(both, {
  objects(api) {
    for (const name of ['a', 'b', 'c']) {
      api.seed(nodes, makeNode(name));
      api.seed(leases, lease(name));
    }
    api.seed(pods, makePod('stays', { nodeName: 'a', ready: true, spec: { tolerations: [{ operator: 'Exists' }] } }));
    for (const name of ['goes', 'goes-too']) api.seed(pods, makePod(name, { nodeName: 'a', ready: true }));
  },
  others: [
    // a is silent from the start; the others renew their leases.
    ({ client, clock, signal }) => {
      const renew = async (name: string): Promise<void> => {
        for (let beat = 0; !signal.aborted; beat++) {
          const body = { spec: { renewTime: `beat ${beat}` } };
          await client.patch(leases, { namespace: 'kube-node-lease', name }, { type: 'merge', body });
          await clock.sleep(2_000);
        }
      };
      for (const name of ['b', 'c']) void renew(name);
    },
    // The machine of the lost node does not come back, so its pods are removed by force.
    simulatedKubelet(),
  ],
  async expectEnd(api) {
    expect((await taintsOf(api, 'a')).map(taint => taint.split(':')[1])).toEqual(['NoExecute', 'NoSchedule']);
    expect(await taintsOf(api, 'b')).toEqual([]);
    const left = (await api.list(pods)).items;
    expect(left.map(({ metadata }) => metadata.name)).toEqual(['stays']);
    expect(left[0]?.status?.conditions?.[0]?.status).toBe('False');
  },
});
