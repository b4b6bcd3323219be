import { configMaps, pods, type ConfigMap } from '@naru/api';
import { StatusError } from '@naru/foundation';
import { MemoryObjects, eventually } from './index';

const configMap = (name: string, data: Record<string, string> = {}): ConfigMap => ({
  metadata: { namespace: 'default', name },
  data,
});

function follow(api: MemoryObjects) {
  const controller = new AbortController();
  const informer = api
    .informers()
    .informer({ type: configMaps, indexers: { byValue: object => Object.values(object.data ?? {}) } });
  const heard: string[] = [];
  informer.addHandler({
    onAdd: object => heard.push(`add ${object.metadata.name}`),
    onUpdate: object => heard.push(`update ${object.metadata.name}`),
    onDelete: object => heard.push(`delete ${object.metadata.name}`),
  });
  return { informer, heard, controller };
}

test('an informer shows what was there and follows what changes', async () => {
  const api = new MemoryObjects();
  api.seed(configMaps, configMap('a', { k: '1' }));
  const { informer, heard, controller } = follow(api);
  await informer.start(controller.signal);
  expect(informer.lister.byIndex('byValue', '1')).toHaveLength(1);
  const created = await api.create(configMaps, configMap('b'));
  await api.update(configMaps, { ...created, data: { k: '2' } });
  await api.delete(configMaps, { namespace: 'default', name: 'a' });
  await eventually(() => expect(heard).toEqual(['add a', 'add b', 'update b', 'delete a']));
  expect(informer.lister.byIndex('byValue', '2')).toHaveLength(1);
  expect(informer.lister.byIndex('byValue', '1')).toHaveLength(0);
  controller.abort();
});

test('an informer that missed messages notices the gap and lists again', async () => {
  const api = new MemoryObjects();
  const { informer, controller } = follow(api);
  await informer.start(controller.signal);
  await api.create(configMaps, configMap('seen'));
  api.dropEvents = true;
  await api.create(configMaps, configMap('missed'));
  await api.delete(configMaps, { namespace: 'default', name: 'seen' });
  api.dropEvents = false;
  await api.create(configMaps, configMap('after'));
  await eventually(() =>
    expect(informer.lister.list().map(object => object.metadata.name)).toEqual(['missed', 'after']),
  );
  controller.abort();
});

test("an informer of one partition hears only that node's pods", async () => {
  const api = new MemoryObjects();
  const controller = new AbortController();
  const informer = api.informers().informer({ type: pods, partition: 'n1', fieldSelector: 'spec.nodeName=n1' });
  await informer.start(controller.signal);
  for (const name of ['a', 'b'])
    await api.create(pods, { metadata: { namespace: 'default', name }, spec: { containers: [] } });
  await api.createSubresource(pods, { namespace: 'default', name: 'a' }, 'binding', {
    target: { name: 'n1' },
  } as never);
  await api.createSubresource(pods, { namespace: 'default', name: 'b' }, 'binding', {
    target: { name: 'n2' },
  } as never);
  await eventually(() => expect(informer.lister.list().map(pod => pod.metadata.name)).toEqual(['a']));
  controller.abort();
});

test('a stale update is refused, and an injected fault comes once', async () => {
  const api = new MemoryObjects();
  const first = await api.create(configMaps, configMap('a'));
  await api.update(configMaps, { ...first, data: { k: '1' } });
  await expect(api.update(configMaps, { ...first, data: { k: '2' } })).rejects.toMatchObject({ reason: 'Conflict' });
  api.failNext(new StatusError('ServiceUnavailable', 'away'), write => write.verb === 'delete');
  await expect(api.delete(configMaps, { namespace: 'default', name: 'a' })).rejects.toMatchObject({
    reason: 'ServiceUnavailable',
  });
  await api.delete(configMaps, { namespace: 'default', name: 'a' });
  expect((await api.list(configMaps)).items).toEqual([]);
});

test('a handler that fails on an object hears of the next ones all the same', async () => {
  const api = new MemoryObjects();
  const controller = new AbortController();
  const informer = api.informers().informer({ type: configMaps });
  const heard: string[] = [];
  informer.addHandler({
    onAdd: object => {
      if (object.metadata.name === 'bad') throw new Error('cannot');
      heard.push(object.metadata.name);
    },
  });
  await informer.start(controller.signal);
  for (const name of ['bad', 'good']) await api.create(configMaps, configMap(name));
  await eventually(() => expect(heard).toEqual(['good']));
  controller.abort();
});
