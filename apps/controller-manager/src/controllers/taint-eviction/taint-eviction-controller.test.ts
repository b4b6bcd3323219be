import { nodes, pods } from '@naru/api';
import { systemClock, type Clock } from '@naru/foundation';
import { MemoryObjects, SimulatedClock, eventually } from '@naru/testing';
import { makeNode, makePod, startControllers } from '../../fixtures';
import { taintEvictionController } from './taint-eviction-controller';

test('a taint without a time, as kubectl writes it, evicts who tolerates it for a while when that is over', async () => {
  const api = new MemoryObjects();
  api.seed(nodes, { ...makeNode('a'), spec: { taints: [{ key: 'leave', effect: 'NoExecute' }] } });
  const tolerate = (tolerationSeconds?: number) => ({
    tolerations: [
      { key: 'leave', operator: 'Exists', ...(tolerationSeconds === undefined ? {} : { tolerationSeconds }) },
    ],
  });
  api.seed(pods, makePod('soon', { nodeName: 'a', spec: tolerate(1) }));
  api.seed(pods, makePod('late', { nodeName: 'a', spec: tolerate(1000) }));
  api.seed(pods, makePod('never', { nodeName: 'a', spec: tolerate() }));
  const cluster = await startControllers([taintEvictionController], { api });
  const goes = async (name: string): Promise<boolean> =>
    (await api.get(pods, { namespace: 'default', name })).metadata.deletionTimestamp !== undefined;
  await eventually(async () => expect(await goes('soon')).toBe(true));
  expect([await goes('late'), await goes('never')]).toEqual([false, false]);
  await cluster.stop();
});

const effects = { key: 'e2e-evict-taint-key', value: 'evictTaintVal', effect: 'NoExecute' } as const;
const tolerations = (tolerationSeconds?: number) => ({
  tolerations: [{ ...effects, operator: 'Equal', ...(tolerationSeconds === undefined ? {} : { tolerationSeconds }) }],
});

/** Nodes that get the taint when the pods are there. */
async function tainted(podSpecs: Record<string, object>, clock: Clock = systemClock) {
  const api = new MemoryObjects(clock);
  for (const name of ['a', 'b']) api.seed(nodes, makeNode(name));
  for (const [i, [name, spec]] of Object.entries(podSpecs).entries())
    api.seed(pods, makePod(name, { nodeName: i % 2 === 0 ? 'a' : 'b', spec }));
  const cluster = await startControllers([taintEvictionController], { api, clock });
  const taint = async (taints: object[]): Promise<void> => {
    for (const name of ['a', 'b']) await api.patch(nodes, { name }, { type: 'merge', body: { spec: { taints } } });
  };
  const pod = (name: string) => api.get(pods, { namespace: 'default', name });
  await taint([effects]);
  return { taint, pod, stop: () => cluster.stop() };
}

test('of several pods those that do not tolerate a taint go, with a condition that says why', async () => {
  const { pod, stop } = await tainted({ goes: {}, 'goes-soon': tolerations(1), stays: tolerations() });
  for (const name of ['goes', 'goes-soon'])
    await eventually(async () => {
      const { metadata, status } = await pod(name);
      expect(metadata.deletionTimestamp).toBeDefined();
      expect(status?.conditions).toContainEqual(
        expect.objectContaining({
          type: 'DisruptionTarget',
          status: 'True',
          reason: 'DeletionByTaintManager',
          message: 'Taint manager: deleting due to NoExecute taint',
        }),
      );
    });
  expect((await pod('stays')).metadata.deletionTimestamp).toBeUndefined();
  await stop();
});

test('a taint that is taken away in time evicts nobody', async () => {
  const clock = new SimulatedClock();
  const { pod, taint, stop } = await tainted({ spared: tolerations(10), goes: tolerations(4) }, clock);
  const pass = async (ms: number): Promise<void> => {
    const until = clock.now() + ms;
    // What is under way has to set its timers first.
    await new Promise(resolve => setImmediate(resolve));
    while (await clock.step(until));
  };
  await pass(5_000);
  expect((await pod('goes')).metadata.deletionTimestamp).toBeDefined();
  await taint([]);
  await pass(60_000);
  expect((await pod('spared')).metadata.deletionTimestamp).toBeUndefined();
  await stop();
});
