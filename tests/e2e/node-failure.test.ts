import type { Node, Pod, Service } from '@naru/api';
import { eventually } from '@naru/testing';
import { ask, askJson, clusterName, kubectl, naru, run } from './cluster';
import { applyExample, deleteExample } from './web-example';

interface List<T> {
  items: T[];
}

const ready = (node: Node): string | undefined => node.status?.conditions?.find(({ type }) => type === 'Ready')?.status;
const readyPod = (pod: Pod): boolean =>
  !pod.metadata?.deletionTimestamp &&
  (pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false);
const hardwareAddress = async (node: string): Promise<string> =>
  (await run('ip', ['netns', 'exec', `naru-${clusterName}.${node}`, 'cat', '/sys/class/net/eth0/address'])).stdout;
const webPods = async (): Promise<Pod[]> => (await askJson<List<Pod>>('get', 'pods', '-l', 'app=web')).items;

test('a node that loses power is replaced, the Service keeps answering, and the node comes back', async () => {
  await applyExample();
  const victim = (await webPods())[0]?.spec?.nodeName ?? '';
  const others = (await askJson<List<Node>>('get', 'nodes')).items.filter(({ metadata }) => metadata?.name !== victim);
  const address = others[0]?.status?.addresses?.find(({ type }) => type === 'InternalIP')?.address;
  const port = (await askJson<Service>('get', 'service', 'web')).spec?.ports?.[0]?.nodePort;
  const known = await hardwareAddress(victim);
  try {
    await naru(['node', 'kill', victim]);
    await eventually(
      async () => expect(ready(await askJson<Node>('get', 'node', victim))).toBe('Unknown'),
      150_000,
      200,
    );
    await eventually(
      async () => {
        const pods = (await webPods()).filter(readyPod);
        expect(pods).toHaveLength(3);
        expect(pods.filter(pod => pod.spec?.nodeName === victim)).toEqual([]);
      },
      90_000,
      200,
    );
    // The node that is asked hears of the lost endpoint when it does; from then on none of many connections is lost.
    await eventually(async () => {
      for (let i = 0; i < 20; i++) await run('curl', ['-sf', '--max-time', '5', `http://${address}:${port}/`]);
    });
  } finally {
    await naru(['node', 'start', victim]);
  }
  await kubectl(['wait', '--for=condition=Ready', `node/${victim}`, '--timeout=120s']);
  // Its neighbours reach it by what they remember: to ask anew takes them half a minute.
  expect(await hardwareAddress(victim)).toBe(known);
  // What the dead node had is gone for good, on it too: the pods that remain are those that run.
  await eventually(async () => expect((await webPods()).filter(readyPod)).toHaveLength(3), 90_000, 200);
  await eventually(async () => expect(await webPods()).toHaveLength(3), 90_000, 200);
  await eventually(async () => expect(await ask('get', 'node', victim, '-o', 'jsonpath={.spec.taints}')).toBe(''));
  await deleteExample();
});

test('a node can be added and removed while the cluster runs', async () => {
  await naru(['node', 'add', 'extra']);
  await kubectl(['wait', '--for=condition=Ready', 'node/extra', '--timeout=120s']);
  await naru(['node', 'remove', 'extra']);
  await eventually(
    async () => {
      expect((await kubectl(['get', 'node', 'extra'], { anyCode: true })).stderr).toMatch(/not found/);
    },
    90_000,
    200,
  );
});
