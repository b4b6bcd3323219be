import { nodes, pods } from '@naru/api';
import { MemoryObjects, eventually } from '@naru/testing';
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
