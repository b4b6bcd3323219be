import { nodes, pods } from '@naru/api';
import { MemoryObjects, eventually } from '@naru/testing';
import { makeNode, makePod, startControllers } from '../../fixtures';
import { convergenceSuite } from '../../simulation';
import { findGarbage, podGcController } from './pod-gc-controller';

const terminating = { metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' } };
const outOfService = makeNode(
  'dead',
  { spec: { taints: [{ key: 'node.kubernetes.io/out-of-service', effect: 'NoExecute' }] }, status: {} },
  false,
);

test.each([
  ['a pod of a node that exists', makePod('p', { nodeName: 'n' }), undefined],
  ['a pod of a node that does not', makePod('p', { nodeName: 'gone' }), 'orphaned'],
  ['a terminating pod that was never scheduled', makePod('p', terminating), 'unscheduled'],
  ['a pending pod', makePod('p'), undefined],
  ['a terminating pod of a node out of service', makePod('p', { ...terminating, nodeName: 'dead' }), 'out-of-service'],
  ['a pod of a node out of service', makePod('p', { nodeName: 'dead' }), undefined],
])('%s', (_what, pod, why) => {
  const known = new Map([makeNode('n'), outOfService].map(node => [node.metadata.name, node]));
  expect(findGarbage([pod], name => known.get(name), 10).get(pod)).toBe(why);
});

test('the oldest finished pods beyond the threshold go', () => {
  const finished = ['2026-01-03', '2026-01-01', '2026-01-02'].map(day =>
    makePod(day, { phase: 'Succeeded', nodeName: 'n', metadata: { creationTimestamp: `${day}T00:00:00Z` } }),
  );
  const garbage = findGarbage(finished, () => makeNode('n'), 1);
  expect([...garbage.keys()].map(pod => pod.metadata.name)).toEqual(['2026-01-01', '2026-01-02']);
});

test('the pods of a removed node go by force, also while they terminate', async () => {
  const api = new MemoryObjects();
  api.seed(nodes, makeNode('n'));
  for (const name of ['a', 'b']) api.seed(pods, makePod(name, { nodeName: 'n' }));
  const cluster = await startControllers([podGcController], { api, config: { orphanedPodGraceMs: 50 } });
  await api.delete(pods, { namespace: 'default', name: 'b' });
  await api.delete(nodes, { name: 'n' });
  await eventually(async () => expect((await api.list(pods)).items).toEqual([]));
  await cluster.stop();
});

convergenceSuite([podGcController], {
  objects(api) {
    for (const name of ['stays', 'goes']) api.seed(nodes, makeNode(name));
    api.seed(pods, makePod('a', { nodeName: 'stays' }));
    for (const name of ['b', 'c']) api.seed(pods, makePod(name, { nodeName: 'goes' }));
  },
  steps: [client => client.delete(nodes, { name: 'goes' })],
  async expectEnd(api) {
    expect((await api.list(pods)).items.map(({ metadata }) => metadata.name)).toEqual(['a']);
  },
});
