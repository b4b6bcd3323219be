import { leases, nodes, pods, type Lease } from '@naru/api';
import { formatMicroTime } from '@naru/foundation';
import { MemoryObjects, SimulatedClock, eventually } from '@naru/testing';
import { makeNode, makePod, startControllers } from '../../fixtures';
import { convergenceSuite, simulatedKubelet } from '../../simulation';
import { taintEvictionController } from '../taint-eviction/taint-eviction-controller';
import { nodeLifecycleController } from './node-lifecycle-controller';
import { readyStatus } from './taints';

const both = [nodeLifecycleController, taintEvictionController];
const config = { nodeMonitorGraceMs: 150, nodeStartupGraceMs: 150 };
const lease = (name: string, renewedAt: number): Lease => ({
  metadata: { namespace: 'kube-node-lease', name },
  spec: { holderIdentity: name, renewTime: formatMicroTime(renewedAt) },
});

const timers: NodeJS.Timeout[] = [];
afterEach(() => timers.splice(0).forEach(clearInterval));

/** Time that passes while this process runs, and stands still when it does: healthy nodes never look silent. */
function passingTime(): SimulatedClock {
  const clock = new SimulatedClock();
  let passing = false;
  const pass = async (): Promise<void> => {
    if (passing) return;
    passing = true;
    for (const until = clock.now() + 10; await clock.step(until););
    passing = false;
  };
  timers.push(setInterval(() => void pass(), 10));
  return clock;
}

/** Nodes whose leases are renewed until they are killed. */
function liveNodes(
  { api, clock }: { api: MemoryObjects; clock: SimulatedClock },
  names: string[],
  labelsOf: (name: string) => Record<string, string> = () => ({}),
) {
  const alive = new Set(names);
  for (const name of names) {
    const node = makeNode(name);
    api.seed(nodes, { ...node, metadata: { ...node.metadata, labels: labelsOf(name) } });
    api.seed(leases, lease(name, clock.now()));
  }
  const renew = (): void => {
    const body = (name: string) => lease(name, clock.now());
    for (const name of alive)
      void api.patch(leases, { namespace: 'kube-node-lease', name }, { type: 'merge', body: body(name) });
    clock.after(30, renew);
  };
  renew();
  return { kill: (...dead: string[]) => dead.forEach(name => alive.delete(name)) };
}

const taintsOf = async (api: MemoryObjects, name: string) =>
  ((await api.get(nodes, { name })).spec?.taints ?? []).map(({ key, effect }) => `${key}:${effect}`).sort();

test('a silent node is tainted, its pods leave the services at once and are evicted', async () => {
  const api = new MemoryObjects();
  const clock = passingTime();
  const { kill } = liveNodes({ api, clock }, ['a', 'b', 'c']);
  const tolerations = [{ key: 'node.kubernetes.io/unreachable', operator: 'Exists', tolerationSeconds: 1 }];
  api.seed(pods, makePod('moves', { nodeName: 'a', ready: true, spec: { tolerations } }));
  api.seed(pods, makePod('stays', { nodeName: 'a', ready: true, spec: { tolerations: [{ operator: 'Exists' }] } }));
  const cluster = await startControllers(both, { api, clock, config });
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
  const clock = passingTime();
  liveNodes({ api, clock }, ['a', 'b']).kill('a', 'b');
  api.seed(pods, makePod('p', { nodeName: 'a', ready: true }));
  const cluster = await startControllers(both, { api, clock, config });
  await eventually(async () => {
    for (const name of ['a', 'b'])
      expect(await taintsOf(api, name)).toEqual(['node.kubernetes.io/unreachable:NoSchedule']);
  });
  expect((await api.get(pods, { namespace: 'default', name: 'p' })).metadata.deletionTimestamp).toBeUndefined();
  await cluster.stop();
});

/** "r1-z2-a" is a node of the region r1 and its zone z2. */
const zoneLabels = (name: string): Record<string, string> => {
  const [region = '', zone = ''] = name.split('-');
  return { 'topology.kubernetes.io/region': region, 'topology.kubernetes.io/zone': zone };
};
const evicted = async (api: MemoryObjects): Promise<string[]> =>
  (await api.list(nodes)).items
    .filter(({ spec }) => spec?.taints?.some(({ effect }) => effect === 'NoExecute'))
    .map(({ metadata }) => metadata.name);
const unreachable = (api: MemoryObjects, names: string[]): Promise<void> =>
  eventually(async () => {
    for (const name of names) expect(await taintsOf(api, name)).toContain('node.kubernetes.io/unreachable:NoSchedule');
  });

test('a zone that is mostly silent is left alone, one that is all silent among others is evicted', async () => {
  const api = new MemoryObjects();
  const silent = ['r1-z1-a', 'r1-z1-b', 'r1-z1-c', 'r1-z2-a', 'r2-z1-a'];
  const clock = passingTime();
  const { kill } = liveNodes({ api, clock }, [...silent, 'r1-z1-d', 'r2-z1-b', 'r2-z1-c'], zoneLabels);
  const cluster = await startControllers([nodeLifecycleController], { api, clock, config });
  await eventually(() => expect(cluster.events).toHaveLength(8));
  kill(...silent);
  await unreachable(api, silent);
  // Of z1 in r1 three of four are silent; z1 in r2 is another zone, with one of three.
  await eventually(async () => expect((await evicted(api)).sort()).toEqual(['r1-z2-a', 'r2-z1-a']));
  await cluster.stop();
});

test('of a large zone that is mostly silent one node after another is evicted, at the secondary rate', async () => {
  const api = new MemoryObjects();
  const names = ['a', 'b', 'c', 'd', 'e'].map(name => `r1-z1-${name}`);
  const clock = passingTime();
  const { kill } = liveNodes({ api, clock }, names, zoneLabels);
  const rates = {
    largeClusterSize: 4,
    unhealthyZoneThreshold: 0.6,
    nodeEvictionRate: 100,
    secondaryNodeEvictionRate: 0.001,
  };
  const cluster = await startControllers([nodeLifecycleController], { api, clock, config: { ...config, ...rates } });
  await eventually(() => expect(cluster.events).toHaveLength(5));
  const silent = names.slice(0, 3);
  kill(...silent);
  await unreachable(api, silent);
  await eventually(async () => expect(await evicted(api)).toHaveLength(1));
  // The next one's turn is in a quarter of an hour.
  expect(await evicted(api)).toHaveLength(1);
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
  const clock = passingTime();
  const slow = lease('slow', clock.now());
  api.seed(leases, { ...slow, spec: { ...slow.spec, leaseDurationSeconds: 40 } });
  const { kill } = liveNodes({ api, clock }, ['quick', 'other']);
  const cluster = await startControllers(both, { api, clock, config });
  kill('quick');
  await eventually(async () => expect(readyStatus(await api.get(nodes, { name: 'quick' }))).toBe('Unknown'));
  expect(readyStatus(await api.get(nodes, { name: 'slow' }))).toBe('True');
  await cluster.stop();
});

test('a node that has not been heard of since the controller began has time to start', async () => {
  const api = new MemoryObjects();
  const clock = passingTime();
  const { kill } = liveNodes({ api, clock }, ['heard', 'starting', 'other']);
  kill('starting');
  const cluster = await startControllers(both, { api, clock, config: { ...config, nodeStartupGraceMs: 60_000 } });
  // It has looked at each of them; what comes from now on is heard.
  await eventually(() => expect(cluster.events).toHaveLength(3));
  const renewed = async (): Promise<unknown> =>
    (await api.get(leases, { namespace: 'kube-node-lease', name: 'heard' })).spec?.renewTime;
  const before = await renewed();
  await eventually(async () => expect(await renewed()).not.toBe(before));
  kill('heard');
  await eventually(async () => expect(readyStatus(await api.get(nodes, { name: 'heard' }))).toBe('Unknown'));
  expect(readyStatus(await api.get(nodes, { name: 'starting' }))).toBe('True');
  await cluster.stop();
});

convergenceSuite(both, {
  objects(api) {
    for (const name of ['a', 'b', 'c']) {
      api.seed(nodes, makeNode(name));
      api.seed(leases, lease(name, 0));
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
