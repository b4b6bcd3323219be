import type { KubeObject } from '../types';
import { trackCreate, trackUpdate, type FieldWriter } from './field-manager';
import { storedEntries, type ManagedEntry } from './managed-entries';
import { mergeTypeOfKind } from './schema-merge-type';

const objectWriter = (field: string): boolean => field === 'status';
const statusWriter = (field: string): boolean => field !== 'status' && field !== 'metadata';

function writer(manager: string, more: Partial<FieldWriter> = {}): FieldWriter {
  const type = mergeTypeOfKind('apps', 'v1', 'Deployment')!;
  return { type, apiVersion: 'apps/v1', manager, subresource: '', now: 'T1', resets: objectWriter, ...more };
}

function deployment(): KubeObject & Record<string, unknown> {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace: 'default', uid: 'u', labels: { app: 'web' } },
    spec: {
      replicas: 1,
      selector: { matchLabels: { app: 'web' } },
      template: {
        metadata: { labels: { app: 'web' } },
        spec: { containers: [{ name: 'main', image: 'i:1', ports: [{ containerPort: 80 }], args: ['a', 'b'] }] },
      },
    },
    status: {},
  };
}

/** A copy whose entries stay: as an object that was read, changed and sent back. */
function changed<T extends KubeObject>(object: T, change: (copy: T) => void): T {
  const copy = structuredClone(object);
  change(copy);
  return copy;
}

function created(): ReturnType<typeof deployment> {
  const object = deployment();
  trackCreate(object, writer('creator'));
  return object;
}

const entriesOf = (object: KubeObject): Record<string, ManagedEntry> =>
  Object.fromEntries(
    storedEntries(object.metadata).map(e => [e.manager + (e.subresource ? `/${e.subresource}` : ''), e]),
  );
const fieldsOf = (object: KubeObject, manager: string): unknown => entriesOf(object)[manager]?.fieldsV1;

test('the creator owns every field but identity and status, in the form of upstream', () => {
  expect(storedEntries(created().metadata)).toEqual([
    {
      manager: 'creator',
      operation: 'Update',
      apiVersion: 'apps/v1',
      time: 'T1',
      fieldsType: 'FieldsV1',
      fieldsV1: {
        'f:metadata': { 'f:labels': { '.': {}, 'f:app': {} } },
        'f:spec': {
          'f:replicas': {},
          'f:selector': {},
          'f:template': {
            'f:metadata': { 'f:labels': { '.': {}, 'f:app': {} } },
            'f:spec': {
              'f:containers': {
                'k:{"name":"main"}': {
                  '.': {},
                  'f:args': {},
                  'f:image': {},
                  'f:name': {},
                  'f:ports': {
                    '.': {},
                    'k:{"containerPort":80,"protocol":"TCP"}': { '.': {}, 'f:containerPort': {} },
                  },
                },
              },
            },
          },
        },
      },
    },
  ]);
});

test('who changes a field takes it from its owner', () => {
  const live = created();
  const next = changed(live, copy => ((copy['spec'] as { replicas: number }).replicas = 3));
  trackUpdate(live, next, writer('scaler', { now: 'T2' }));
  expect(fieldsOf(next, 'scaler')).toEqual({ 'f:spec': { 'f:replicas': {} } });
  expect(fieldsOf(next, 'creator')).not.toHaveProperty(['f:spec', 'f:replicas']);
  expect(entriesOf(next)['creator']?.time).toBe('T1');
  expect(entriesOf(next)['scaler']?.time).toBe('T2');
});

test('an update without a change leaves the entries as they are, time included', () => {
  const live = created();
  const next = structuredClone(live);
  trackUpdate(live, next, writer('other', { now: 'T2' }));
  expect(next.metadata?.managedFields).toEqual(live.metadata?.managedFields);
});

test('the status has entries of its own, and its writer owns nothing else', () => {
  const live = created();
  const next = changed(live, copy => {
    copy['status'] = { replicas: 1, conditions: [{ type: 'Available', status: 'True' }] };
    (copy['spec'] as { replicas: number }).replicas = 9;
  });
  trackUpdate(live, next, writer('controller', { subresource: 'status', resets: statusWriter }));
  expect(fieldsOf(next, 'controller/status')).toEqual({
    'f:status': {
      'f:conditions': { '.': {}, 'k:{"type":"Available"}': { '.': {}, 'f:status': {}, 'f:type': {} } },
      'f:replicas': {},
    },
  });
  expect(fieldsOf(next, 'creator')).toEqual(fieldsOf(live, 'creator'));
});

test('what is removed belongs to nobody, and an owner of nothing has no entry', () => {
  const live = created();
  const labelled = changed(live, copy => (copy.metadata!.labels = { app: 'web', tier: 'x' }));
  trackUpdate(live, labelled, writer('labeller'));
  expect(fieldsOf(labelled, 'labeller')).toEqual({ 'f:metadata': { 'f:labels': { 'f:tier': {} } } });
  const unlabelled = changed(labelled, copy => (copy.metadata!.labels = { app: 'web' }));
  trackUpdate(labelled, unlabelled, writer('other'));
  expect(Object.keys(entriesOf(unlabelled))).toEqual(['creator']);
});

test('clients that send no entries, or wrong ones, lose none', () => {
  const live = created();
  for (const managedFields of [undefined, [], [{ manager: 'x', operation: 'Nonsense' }]]) {
    const next = changed(live, copy => (copy.metadata!.managedFields = managedFields as never));
    trackUpdate(live, next, writer('old'));
    expect(next.metadata?.managedFields).toEqual(live.metadata?.managedFields);
  }
});

test('[{}] resets them, and the object is not tracked until it is applied', () => {
  const live = created();
  const next = changed(live, copy => (copy.metadata!.managedFields = [{}] as never));
  trackUpdate(live, next, writer('resetter'));
  expect(next.metadata?.managedFields).toBeUndefined();
  const later = changed(next, copy => ((copy['spec'] as { replicas: number }).replicas = 3));
  trackUpdate(next, later, writer('resetter'));
  expect(later.metadata?.managedFields).toBeUndefined();
});

test('entries that a client writes are put into canonical form', () => {
  const live = created();
  const next = changed(live, copy => {
    const fieldsV1 = JSON.parse(
      '{"f:z":{"k:{\\"b\\":1,\\"a\\":2}":{}},"f:a":{},"__proto__":{},"constructor":{},"x:y":{}}',
    ) as object;
    copy.metadata!.managedFields = [
      { manager: 'm', operation: 'Apply', apiVersion: 'apps/v1', fieldsType: 'FieldsV1', fieldsV1 },
    ] as never;
  });
  trackUpdate(live, next, writer('editor'));
  expect(JSON.stringify(fieldsOf(next, 'm'))).toBe('{"f:a":{},"f:z":{"k:{\\"a\\":2,\\"b\\":1}":{}}}');
});

test('many updaters are kept as ten entries and what was long ago', () => {
  let live = created();
  for (let i = 10; i < 30; i++) {
    const next = changed(
      live,
      copy => (copy.metadata!.annotations = { ...copy.metadata!.annotations, [`a${i}`]: 'x' }),
    );
    trackUpdate(live, next, writer(`m${i}`, { now: `T${i}` }));
    live = next;
  }
  const entries = storedEntries(live.metadata);
  expect(entries).toHaveLength(10);
  const ancient = entriesOf(live)['ancient-changes'];
  expect(ancient?.fieldsV1).toHaveProperty(['f:spec', 'f:replicas']);
  expect(ancient?.fieldsV1).toHaveProperty(['f:metadata', 'f:annotations', 'f:a10']);
  expect(entriesOf(live)['m29']?.time).toBe('T29');
});

test('elements with the same key are one value together', () => {
  const ports = (...names: string[]): unknown[] => names.map(name => ({ name, containerPort: 80 }));
  const live = created();
  const set = (object: KubeObject, value: unknown): void => {
    const { spec } = object as unknown as { spec: { template: { spec: { containers: { ports?: unknown }[] } } } };
    spec.template.spec.containers[0]!.ports = value;
  };
  const next = changed(live, copy => set(copy, ports('a', 'b')));
  trackUpdate(live, next, writer('doubler'));
  const container = ['f:spec', 'f:template', 'f:spec', 'f:containers', 'k:{"name":"main"}', 'f:ports'];
  expect(fieldsOf(next, 'doubler')).toHaveProperty([...container, 'k:{"containerPort":80,"protocol":"TCP"}'], {});
});
