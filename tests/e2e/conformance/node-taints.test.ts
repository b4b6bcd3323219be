import type { Node, Pod } from '@naru/api';
import { api, makeNamespace, type Known } from './api';
import { Following } from './following';
import { image } from './node-pod-cases';

// Alone in its file: a NoExecute taint is felt by every pod of its node.
let namespace: string;
let pods: Following<Pod>;
const key = 'kubernetes.io/e2e-evict-taint-key';
const taint = { key, value: 'evictTaintVal', effect: 'NoExecute' };
let nodes: string[] = [];

const create = (name: string, node: string, tolerationSeconds?: number | 'for ever'): Promise<Known<Pod>> =>
  api.create<Pod>(`${namespace}/pods`, {
    metadata: { name },
    spec: {
      nodeSelector: { 'kubernetes.io/hostname': node },
      terminationGracePeriodSeconds: 1,
      containers: [{ name: 'main', image, command: ['sleep', '1000'] }],
      ...(tolerationSeconds === undefined
        ? {}
        : { tolerations: [{ ...taint, ...(tolerationSeconds === 'for ever' ? {} : { tolerationSeconds }) }] }),
    },
  });
const running = (name: string): Promise<Known<Pod>> => pods.until(name, ({ status }) => status?.phase === 'Running');
const addTaint = (node: string): Promise<unknown> =>
  api.change<Node>(`/api/v1/nodes/${node}`, ({ spec }) => (spec!.taints = [...(spec!.taints ?? []), taint]));
const removeTaint = (node: string): Promise<unknown> =>
  api.change<Node>(
    `/api/v1/nodes/${node}`,
    ({ spec }) => (spec!.taints = spec!.taints?.filter(found => found.key !== key) ?? []),
  );
/** A pod whose node gets the taint and loses it before the time that the pod tolerates it is over. */
async function relieve(node: string, tolerationSeconds: number): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    const name = `relieved-${attempt}`;
    await create(name, node, tolerationSeconds);
    await running(name);
    const began = Date.now();
    await addTaint(node);
    await removeTaint(node);
    // On a machine that stood still meanwhile the pod may rightly be evicted: it proves nothing.
    if (Date.now() - began < (tolerationSeconds * 1000) / 2) return name;
  }
}
/** The first event that shows the pod being deleted. */
const evicted = async (name: string): Promise<Known<Pod>> =>
  (await pods.event(({ object }) => object.metadata.name === name && object.metadata.deletionTimestamp)).object;

beforeAll(async () => {
  namespace = await makeNamespace('node-taints');
  pods = await Following.start(`${namespace}/pods`);
  nodes = (await api.list('/api/v1/nodes')).items.map(({ metadata }) => metadata.name);
});
afterAll(async () => {
  pods.stop();
  await Promise.all(nodes.map(removeTaint));
  await api.remove(namespace);
});

test('a NoExecute taint evicts pods when the time that they tolerate it is over, and one that is removed does not', async () => {
  const [tainted = '', relieved = ''] = nodes;
  const names = ['intolerant', 'short', 'long', 'for-ever'];
  await Promise.all([
    create('intolerant', tainted),
    create('short', tainted, 1),
    create('long', tainted, 8),
    create('for-ever', tainted, 'for ever'),
  ]);
  const [spared] = await Promise.all([relieve(relieved, 7), ...names.map(running)]);
  const began = Date.now();
  await addTaint(tainted);

  for (const name of ['intolerant', 'short', 'long']) {
    const { status } = await evicted(name);
    expect(status?.conditions).toContainEqual(
      expect.objectContaining({ type: 'DisruptionTarget', status: 'True', reason: 'DeletionByTaintManager' }),
    );
  }
  // Longer than the one that was relieved would have been tolerated, and begun later.
  expect(Date.now() - began).toBeGreaterThanOrEqual(8000);
  await Promise.all(['intolerant', 'short', 'long'].map(name => pods.untilGone(name)));
  for (const name of ['for-ever', spared])
    expect((await api.get<Pod>(`${namespace}/pods/${name}`)).metadata.deletionTimestamp).toBeUndefined();
});
