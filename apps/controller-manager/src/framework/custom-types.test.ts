import {
  configMaps,
  customResourceDefinitions,
  namespaces,
  type CustomResourceDefinition,
  type KubeObject,
  type ResourceType,
} from '@naru/api';
import { MemoryObjects, eventually } from '@naru/testing';
import { garbageCollectorController } from '../controllers/garbage-collector/garbage-collector-controller';
import { namespaceController } from '../controllers/namespace/namespace-controller';
import { startControllers } from '../fixtures';

const widgets: ResourceType = {
  group: 'example.com',
  version: 'v1',
  resource: 'widgets',
  kind: 'Widget',
  namespaced: true,
};

function definition(): CustomResourceDefinition {
  return {
    metadata: { name: 'widgets.example.com' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { plural: 'widgets', kind: 'Widget' },
      versions: [
        { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } },
        { name: 'v1beta1', served: true, storage: false },
      ],
    },
    status: {
      conditions: [{ type: 'Established', status: 'True', reason: '', message: '', lastTransitionTime: '' }],
    },
  };
}

const key = (name: string) => ({ namespace: 'default', name });
const exists = (api: MemoryObjects, type: ResourceType, name: string) =>
  api.get(type, key(name)).then(
    () => true,
    () => false,
  );
const owned = (name: string, apiVersion: string, kind: string, owner: KubeObject): KubeObject => {
  const { name: ownerName = '', uid = '' } = owner.metadata ?? {};
  return { metadata: { namespace: 'default', name, ownerReferences: [{ apiVersion, kind, name: ownerName, uid }] } };
};

test('what a custom resource owns goes with it, and it goes with its owner, also in another version', async () => {
  const api = new MemoryObjects();
  const cluster = await startControllers([garbageCollectorController], { api });
  await api.create(customResourceDefinitions, definition());
  const root = await api.create(configMaps, { metadata: { namespace: 'default', name: 'root' } });
  const widget = await api.create(widgets, owned('w', 'v1', 'ConfigMap', root));
  await api.create(configMaps, owned('leaf', 'example.com/v1beta1', 'Widget', widget));
  await api.create(configMaps, owned('free', 'example.com/v1', 'Widget', widget));
  await api.delete(configMaps, key('root'));
  await eventually(async () => {
    expect(await exists(api, widgets, 'w')).toBe(false);
    expect(await exists(api, configMaps, 'leaf')).toBe(false);
    expect(await exists(api, configMaps, 'free')).toBe(false);
  });
  await cluster.stop();
});

test('a definition that goes and comes again is followed again', async () => {
  const api = new MemoryObjects();
  const cluster = await startControllers([garbageCollectorController], { api });
  for (let round = 0; round < 2; round++) {
    await api.create(customResourceDefinitions, definition());
    const root = await api.create(configMaps, { metadata: { namespace: 'default', name: `root${round}` } });
    await api.create(widgets, owned(`w${round}`, 'v1', 'ConfigMap', root));
    await api.delete(configMaps, key(`root${round}`));
    await eventually(async () => expect(await exists(api, widgets, `w${round}`)).toBe(false));
    await api.delete(customResourceDefinitions, { name: 'widgets.example.com' });
  }
  await cluster.stop();
});

test('a namespace takes its custom resources with it', async () => {
  const api = new MemoryObjects();
  const cluster = await startControllers([namespaceController], { api });
  await api.create(customResourceDefinitions, definition());
  await api.create(widgets, { metadata: { namespace: 'gone', name: 'w' } });
  await api.create(namespaces, {
    metadata: { name: 'gone', deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: ['test/hold'] },
    spec: { finalizers: ['kubernetes'] },
  });
  await eventually(async () => expect((await api.list(widgets, { namespace: 'gone' })).items).toEqual([]));
  await cluster.stop();
});
