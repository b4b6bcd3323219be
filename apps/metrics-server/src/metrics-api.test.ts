import { nodes, pods } from '@naru/api';
import { MemoryObjects } from '@naru/testing';
import { MetricsApi } from './metrics-api';
import { UsageStore } from './usage-store';

const abort = new AbortController();
afterAll(() => abort.abort());

async function startApi(): Promise<(path: string) => never> {
  const objects = new MemoryObjects();
  objects.seed(nodes, { metadata: { name: 'a', labels: { zone: 'z1' } } });
  objects.seed(nodes, { metadata: { name: 'unmeasured' } });
  for (const [namespace, name] of [
    ['default', 'web'],
    ['default', 'db'],
    ['other', 'web'],
  ] as const)
    objects.seed(pods, { metadata: { namespace, name, labels: { app: name } } });
  const store = new UsageStore();
  for (const [timeMs, cpu] of [
    [1_000_000, 10],
    [1_015_250, 13.05],
  ] as const)
    store.apply(
      'a',
      [
        `node_cpu_usage_seconds_total ${cpu} ${timeMs}`,
        `node_memory_working_set_bytes 1048577 ${timeMs}`,
        ...['default', 'other'].flatMap(namespace => {
          const labels = `{container="main",namespace="${namespace}",pod="web"}`;
          return [
            `container_cpu_usage_seconds_total${labels} ${cpu} ${timeMs}`,
            `container_memory_working_set_bytes${labels} 2048 ${timeMs}`,
          ];
        }),
      ].join('\n'),
      0,
    );
  const informers = objects.informers();
  const nodeInformer = informers.informer({ type: nodes });
  const podInformer = informers.informer({ type: pods });
  await informers.start(abort.signal);
  const api = new MetricsApi({ nodes: nodeInformer.lister, pods: podInformer.lister, store });
  return path => {
    const url = new URL(path, 'https://x');
    return api.get(url.pathname, url.searchParams) as never;
  };
}

const root = '/apis/metrics.k8s.io/v1beta1';

test('a node and a pod are answered in the units of upstream', async () => {
  const get = await startApi();
  expect(get(`${root}/nodes/a`)).toEqual({
    kind: 'NodeMetrics',
    apiVersion: 'metrics.k8s.io/v1beta1',
    metadata: { name: 'a', creationTimestamp: '1970-01-01T00:16:55Z', labels: { zone: 'z1' } },
    timestamp: '1970-01-01T00:16:55Z',
    window: '15.25s',
    usage: { cpu: '200000000n', memory: '1025Ki' },
  });
  expect(get(`${root}/namespaces/default/pods/web`)).toMatchObject({
    kind: 'PodMetrics',
    metadata: { namespace: 'default', name: 'web', labels: { app: 'web' } },
    window: '15.25s',
    containers: [{ name: 'main', usage: { cpu: '200000000n', memory: '2Ki' } }],
  });
});

test('lists hold what has been measured, of one namespace or all, and follow selectors', async () => {
  const get = await startApi();
  const names = (path: string): string[] =>
    (get(path) as { items: { metadata: { namespace?: string; name: string } }[] }).items.map(({ metadata }) =>
      [metadata.namespace, metadata.name].filter(Boolean).join('/'),
    );
  expect(names(`${root}/nodes`)).toEqual(['a']);
  expect(names(`${root}/pods`)).toEqual(['default/web', 'other/web']);
  expect(names(`${root}/namespaces/other/pods`)).toEqual(['other/web']);
  expect(names(`${root}/pods?labelSelector=app%3Ddb`)).toEqual([]);
  expect(names(`${root}/pods?fieldSelector=metadata.namespace%3Ddefault`)).toEqual(['default/web']);
});

test('what is not there is not found, in the words of a Status', async () => {
  const get = await startApi();
  expect(() => get(`${root}/nodes/unmeasured`)).toThrow('nodes.metrics.k8s.io "unmeasured" not found');
  expect(() => get(`${root}/namespaces/default/pods/db`)).toThrow('pods.metrics.k8s.io "db" not found');
  for (const path of ['/', '/apis', '/apis/metrics.k8s.io/v1', `${root}/services`, `${root}/pods/web`])
    expect(() => get(path)).toThrow('could not find the requested resource');
});

test('discovery names both resources', async () => {
  const get = await startApi();
  expect(get('/apis/metrics.k8s.io')).toMatchObject({ kind: 'APIGroup', preferredVersion: { version: 'v1beta1' } });
  expect(get(root)).toMatchObject({ resources: [{ name: 'nodes', namespaced: false }, { name: 'pods' }] });
});
