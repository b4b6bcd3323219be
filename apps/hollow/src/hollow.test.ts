import { leases, nodes, pods, type Node, type Pod } from '@naru/api';
import { silentLogger, systemClock } from '@naru/foundation';
import { MemoryObjects, eventually } from '@naru/testing';
import { HollowNodes } from './hollow-nodes';
import { HollowPods } from './hollow-pods';
import { hollowNode, type NodeTemplate } from './node-template';

const template: NodeTemplate = {
  prefix: 'hollow-',
  cpu: '8',
  memory: '8Gi',
  maxPods: 110,
  zones: 2,
  taints: [],
  version: 'v0',
};

let abort: AbortController;
let closers: (() => Promise<void>)[];
beforeEach(() => {
  abort = new AbortController();
  closers = [];
});
afterEach(async () => {
  abort.abort();
  for (const close of closers) await close();
});

async function run(api: MemoryObjects, count: number): Promise<void> {
  const informers = api.informers();
  const deps = { client: api, informers, clock: systemClock, logger: silentLogger };
  const hollowPods = new HollowPods({ ...deps, prefix: 'hollow-', life: { startMs: 0, jobMs: 0 } });
  const hollowNodes = new HollowNodes({ ...deps, template, count, leaseDurationSeconds: 0.2 });
  closers.push(
    () => hollowPods.stop(),
    () => hollowNodes.stop(),
  );
  await informers.start(abort.signal);
  hollowNodes.start();
}

const namesOf = async (api: MemoryObjects): Promise<string[]> =>
  (await api.list(nodes)).items.map(({ metadata }) => metadata.name).sort();

test('as many nodes as are wanted register, those too many go, and nodes of others stay', async () => {
  const api = new MemoryObjects();
  api.seed(nodes, hollowNode(7, template, 0) as Node);
  api.seed(nodes, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'hollow-9' } });
  await run(api, 3);
  await eventually(async () => expect(await namesOf(api)).toEqual(['hollow-0', 'hollow-1', 'hollow-2', 'hollow-9']));
});

test('leases are renewed, and a node that was given up on is Ready again', async () => {
  const api = new MemoryObjects();
  await run(api, 1);
  const key = { namespace: 'kube-node-lease', name: 'hollow-0' };
  const renewTime = async (): Promise<string | undefined> => (await api.get(leases, key)).spec?.renewTime;
  const first = await eventually(renewTime);
  await eventually(async () => expect(await renewTime()).not.toBe(first));
  const body = { status: { conditions: [{ type: 'Ready', status: 'Unknown' }] } };
  await api.patch(nodes, { name: 'hollow-0' }, { type: 'merge', body }, { subresource: 'status' });
  await eventually(async () => {
    const { status } = await api.get(nodes, { name: 'hollow-0' });
    expect(status?.conditions).toContainEqual(expect.objectContaining({ type: 'Ready', status: 'True' }));
  });
});

test('pods of hollow nodes get an address each and are removed when they terminate; pods elsewhere are left alone', async () => {
  const api = new MemoryObjects();
  const seed = (name: string, nodeName: string): Pod =>
    api.seed(pods, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'default' },
      spec: { nodeName, containers: [{ name: 'main', image: 'x' }] },
    });
  for (const [name, node] of [
    ['a', 'hollow-0'],
    ['b', 'hollow-0'],
    ['c', 'hollow-1'],
    ['real', 'worker-1'],
  ] as const)
    seed(name, node);
  await run(api, 2);
  const status = async (name: string): Promise<Pod['status']> =>
    (await api.get(pods, { namespace: 'default', name })).status;
  await eventually(async () => {
    const found = await Promise.all(['a', 'b', 'c'].map(status));
    expect(new Set(found.map(each => each?.podIP))).toEqual(new Set(['240.0.0.1', '240.0.0.2', '240.0.1.1']));
  });
  expect((await status('real'))?.phase).toBeUndefined();
  await api.delete(pods, { namespace: 'default', name: 'a' }, { gracePeriodSeconds: 30 });
  await eventually(async () =>
    expect((await api.list(pods)).items.map(each => each.metadata.name).sort()).toEqual(['b', 'c', 'real']),
  );
});
