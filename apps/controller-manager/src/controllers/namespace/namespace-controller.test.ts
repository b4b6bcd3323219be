import { apiServices, configMaps, namespaces, pods } from '@naru/api';
import { MemoryObjects, eventually } from '@naru/testing';
import { makePod, startControllers } from '../../fixtures';
import { convergenceSuite, simulatedKubelet } from '../../simulation';
import { namespaceController } from './namespace-controller';

convergenceSuite([namespaceController], {
  objects(api) {
    // In memory nothing but metadata.finalizers keeps an object: another finalizer stands for the api-server's rule.
    api.seed(namespaces, {
      metadata: { name: 'gone', deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: ['test/hold'] },
      spec: { finalizers: ['kubernetes'] },
    });
    for (const name of ['a', 'b']) {
      api.seed(configMaps, { metadata: { namespace: 'gone', name } });
      api.seed(configMaps, { metadata: { namespace: 'stays', name } });
      api.seed(pods, makePod(name, { namespace: 'gone', nodeName: 'n' }));
    }
  },
  others: [simulatedKubelet()],
  async expectEnd(api) {
    const left = (await api.list(configMaps)).items.map(({ metadata }) => metadata.namespace);
    expect(left).toEqual(['stays', 'stays']);
    expect((await api.list(pods)).items).toEqual([]);
    expect((await api.get(namespaces, { name: 'gone' })).spec?.finalizers).toEqual([]);
  },
});

test('an extension server has no say over what others keep, and nothing may be a null', async () => {
  const api = new MemoryObjects();
  const service = { namespace: 'default', name: 'ext' };
  const spec = { group: 'ext.example.com', version: 'v1', groupPriorityMinimum: 1, versionPriority: 1, service };
  api.seed(apiServices, { metadata: { name: 'v1.ext.example.com' }, spec });
  api.seed(namespaces, {
    metadata: { name: 'gone', deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: ['test/hold'] },
    spec: { finalizers: ['kubernetes'] },
  });
  const verbs = ['list', 'delete'];
  const names = ['things', 'nothings', '../../../../../api/v1/nodes'];
  const resources = [
    { name: 'unused', namespaced: true, verbs: null },
    ...names.map(name => ({ name, namespaced: true, verbs })),
  ];
  let items: { metadata: { name: string } }[] | null = [{ metadata: { name: '../../../../../../api/v1/nodes/n' } }];
  const calls: string[] = [];
  const rest = (path: string): unknown => {
    calls.push(path);
    if (path === '/apis/ext.example.com/v1') return { resources };
    if (path.startsWith('DELETE')) return void (items = null);
    return { items: path.endsWith('/things') ? items : null };
  };
  const cluster = await startControllers([namespaceController], { api, rest });
  await eventually(async () => expect((await api.get(namespaces, { name: 'gone' })).spec?.finalizers).toEqual([]));
  expect(calls.filter(call => call.includes('/../'))).toEqual([]);
  await cluster.stop();
});

test('objects of extension servers go with their namespace, which waits for servers that do not answer', async () => {
  const api = new MemoryObjects();
  const service = { namespace: 'default', name: 'ext' };
  const spec = { group: 'ext.example.com', groupPriorityMinimum: 1, versionPriority: 1, service };
  for (const version of ['v1', 'v2'])
    api.seed(apiServices, { metadata: { name: `${version}.ext.example.com` }, spec: { ...spec, version } });
  api.seed(namespaces, {
    metadata: { name: 'gone', deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: ['test/hold'] },
    spec: { finalizers: ['kubernetes'] },
  });
  let isDown = true;
  let items = [{ metadata: { name: 'a' } }, { metadata: { name: 'b' } }];
  const things = '/apis/ext.example.com/v1/namespaces/gone/things';
  const rest = (path: string): unknown => {
    if (path === '/apis/ext.example.com/v1')
      return { resources: [{ name: 'things', namespaced: true, verbs: ['list', 'delete'] }] };
    if (path === things) return { items };
    if (path.startsWith(`DELETE ${things}/`))
      return void (items = items.filter(({ metadata }) => !path.endsWith(`/${metadata.name}`)));
    if (isDown) throw new Error('service unavailable');
    return { resources: [] };
  };
  const cluster = await startControllers([namespaceController], { api, rest });
  const { status } = await eventually(async () => {
    const namespace = await api.get(namespaces, { name: 'gone' });
    expect(namespace.status?.conditions?.[0]?.status).toBe('True');
    return namespace;
  });
  expect(status?.conditions?.[0]?.message).toContain('ext.example.com/v2: service unavailable');
  await eventually(() => expect(items).toEqual([]));
  isDown = false;
  await eventually(async () => expect((await api.get(namespaces, { name: 'gone' })).spec?.finalizers).toEqual([]));
  await cluster.stop();
});
