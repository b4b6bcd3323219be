import type { Deployment, Node, Pod } from '@naru/api';
import { eventually } from '@naru/testing';
import { apply, ask, askJson, kubectl, naru, withNamespace } from './cluster';

interface List<T> {
  items: T[];
}

const selector = 'naru.dev/hollow';
const toleration = { key: selector, operator: 'Exists' };
const onHollowNodes = { nodeSelector: { [selector]: 'true' }, tolerations: [toleration] };

/** On every node as many: one that is Ready has its taint a little longer, and would get none. */
const spread = (labels: Record<string, string>) => ({
  topologySpreadConstraints: [
    {
      maxSkew: 1,
      topologyKey: 'kubernetes.io/hostname',
      whenUnsatisfiable: 'DoNotSchedule',
      labelSelector: { matchLabels: labels },
    },
  ],
});

afterAll(() => naru(['hollow', '--nodes', '0']));

test('hollow nodes join, run pods without containers, and go', async () => {
  await naru(['hollow', '--nodes', '20']);
  const { items } = await askJson<List<Node>>('get', 'nodes', '-l', selector);
  expect(items).toHaveLength(20);
  await withNamespace('hollow', async namespace => {
    const labels = { app: 'big' };
    const deployment = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'big', namespace },
      spec: {
        replicas: 60,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: { ...onHollowNodes, ...spread(labels), containers: [{ name: 'main', image: 'never-pulled' }] },
        },
      },
    };
    await apply(JSON.stringify(deployment));
    await kubectl(['rollout', 'status', 'deployment/big', '-n', namespace, '--timeout=120s']);
    const pods = (await askJson<List<Pod>>('get', 'pods', '-n', namespace)).items;
    expect(new Set(pods.map(({ status }) => status?.podIP)).size).toBe(60);
    expect(new Set(pods.map(({ spec }) => spec?.nodeName)).size).toBe(20);
    // Fewer nodes: what ran on the others is made anew on those that stay.
    await naru(['hollow', '--nodes', '10']);
    await eventually(async () => {
      const { status } = await askJson<Deployment>('get', 'deployment', 'big', '-n', namespace);
      expect(status?.availableReplicas).toBe(60);
      const { items: left } = await askJson<List<Pod>>('get', 'pods', '-n', namespace);
      expect(new Set(left.map(({ spec }) => spec?.nodeName)).size).toBe(10);
    });
  });
  await naru(['hollow', '--nodes', '0']);
  await eventually(async () => expect(await ask('get', 'nodes', '-l', selector, '-o', 'name')).toBe(''));
});
