import { StatusError } from '@naru/foundation';
import type { KubeObject } from '../types';
import { trackCreate, trackUpdate, type FieldWriter } from './field-manager';
import { storedEntries } from './managed-entries';
import type { ObjectType } from './merge-type';
import { mergeTypeOfKind, mergeTypeOfStructuralSchema } from './schema-merge-type';
import { serverSideApply } from './server-side-apply';

type Loose = KubeObject & { spec?: Record<string, never>; data?: Record<string, string> };

let type: ObjectType = mergeTypeOfKind('', 'v1', 'Pod')!;
beforeEach(() => (type = mergeTypeOfKind('', 'v1', 'Pod')!));

function writer(manager: string, force = false): FieldWriter & { force: boolean } {
  return { type, apiVersion: 'v1', manager, subresource: '', now: 'T1', resets: field => field === 'status', force };
}

function pod(spec: object, metadata: object = {}): Loose {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', ...metadata }, spec } as never;
}

function apply(live: KubeObject | undefined, config: KubeObject, manager: string, force = false): Loose {
  return serverSideApply(live, config, writer(manager, force)) as Loose;
}

function problem(run: () => unknown): StatusError {
  try {
    run();
  } catch (error) {
    if (error instanceof StatusError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

const managersOf = (object: KubeObject): string[] =>
  storedEntries(object.metadata).map(({ manager, operation }) => `${operation} ${manager}`);
const names = (object: Loose): string[] =>
  (object.spec as unknown as { containers: { name: string }[] }).containers.map(({ name }) => name);
const owned = (object: KubeObject, manager: string): unknown =>
  storedEntries(object.metadata).find(entry => entry.manager === manager)?.fieldsV1;

test('applying what is not there makes it, owned field by field', () => {
  const live = apply(undefined, pod({ hostNetwork: true, nodeSelector: { a: 'b' } }), 'one');
  expect(live.spec).toEqual({ hostNetwork: true, nodeSelector: { a: 'b' } });
  expect(managersOf(live)).toEqual(['Apply one']);
  expect(owned(live, 'one')).toEqual({ 'f:spec': { 'f:hostNetwork': {}, 'f:nodeSelector': {} } });
});

test('a field of somebody else is a conflict with its path, and force takes it', () => {
  const live = apply(undefined, pod({ hostNetwork: true, schedulerName: 'a' }), 'one');
  const other = pod({ hostNetwork: false });
  const error = problem(() => apply(live, other, 'two'));
  expect(error.message).toBe('Apply failed with 1 conflict: conflict with "one": .spec.hostNetwork');
  expect(error).toMatchObject({ code: 409, reason: 'Conflict' });
  expect(error.details?.causes).toEqual([
    { reason: 'FieldManagerConflict', message: 'conflict with "one"', field: '.spec.hostNetwork' },
  ]);
  const forced = apply(live, other, 'two', true);
  expect(forced.spec).toEqual({ hostNetwork: false, schedulerName: 'a' });
  expect(owned(forced, 'one')).toEqual({ 'f:spec': { 'f:schedulerName': {} } });
  expect(owned(forced, 'two')).toEqual({ 'f:spec': { 'f:hostNetwork': {} } });
});

test('several conflicts are told by manager, updaters with their version and subresource', () => {
  const live = pod({
    containers: [{ name: 'a', image: 'i', ports: [{ containerPort: 80, protocol: 'UDP', name: 'x' }] }],
  });
  trackCreate(live, writer('kubectl-create'));
  const config = pod({
    schedulerName: 's',
    containers: [{ name: 'a', image: 'j', ports: [{ containerPort: 80, protocol: 'UDP', name: 'y' }] }],
  });
  expect(problem(() => apply(live, config, 'two')).message).toBe(
    [
      'Apply failed with 2 conflicts: conflicts with "kubectl-create" using v1:',
      '- .spec.containers[name="a"].image',
      '- .spec.containers[name="a"].ports[containerPort=80,protocol="UDP"].name',
    ].join('\n'),
  );
});

test('equal values are shared, and stay until the last owner leaves', () => {
  const config = pod({ hostNetwork: true });
  const shared = apply(apply(undefined, config, 'one'), config, 'two');
  expect(managersOf(shared)).toEqual(['Apply one', 'Apply two']);
  const left = apply(shared, pod({ schedulerName: 'a' }), 'one');
  expect(left.spec).toEqual({ hostNetwork: true, schedulerName: 'a' });
  const gone = apply(left, pod({ schedulerName: 'a' }), 'two');
  expect(gone.spec).toEqual({ schedulerName: 'a' });
});

test('what is no longer applied goes, with the objects that become empty, and what others own stays', () => {
  const config = pod(
    { containers: [{ name: 'a', image: 'i', env: [{ name: 'X', value: '1' }] }], securityContext: { runAsUser: 5 } },
    { labels: { a: '1', b: '2' } },
  );
  const live = apply(undefined, config, 'one');
  const touched = structuredClone(live);
  touched.metadata!.labels!['mine'] = 'x';
  trackUpdate(live, touched, writer('updater'));
  const next = apply(touched, pod({ containers: [{ name: 'a', image: 'i' }] }), 'one');
  expect(next).toMatchObject({ metadata: { labels: { mine: 'x' } } });
  expect(next.metadata?.labels).toEqual({ mine: 'x' });
  expect(next.spec).toEqual({ containers: [{ name: 'a', image: 'i' }] });
});

test('two managers share a list map, each with its elements, in a stable order', () => {
  const one = apply(undefined, pod({ containers: [{ name: 'a', image: 'i' }] }), 'one');
  const both = apply(one, pod({ containers: [{ name: 'side', image: 's' }] }), 'two');
  expect(both.spec).toEqual({
    containers: [
      { name: 'a', image: 'i' },
      { name: 'side', image: 's' },
    ],
  });
  const again = apply(both, pod({ containers: [{ name: 'b' }, { name: 'a', image: 'i2' }] }), 'one');
  expect(names(again)).toEqual(['b', 'a', 'side']);
  const without = apply(again, pod({ schedulerName: 's' }), 'two');
  expect(names(without)).toEqual(['b', 'a']);
});

test('sets merge by value, atomic lists and objects as a whole', () => {
  const one = apply(undefined, pod({ tolerations: [{ key: 'a' }] }, { finalizers: ['x/a'] }), 'one');
  const both = apply(one, pod({}, { finalizers: ['x/b'] }), 'two');
  expect(both.metadata?.finalizers).toEqual(['x/a', 'x/b']);
  expect(owned(both, 'two')).toEqual({ 'f:metadata': { 'f:finalizers': { 'v:"x/b"': {} } }, 'f:spec': {} });
  expect(apply(both, pod({}, { finalizers: [] }), 'two').metadata?.finalizers).toEqual(['x/a']);
  expect(problem(() => apply(both, pod({ tolerations: [{ key: 'b' }] }), 'two')).message).toContain(
    '.spec.tolerations',
  );
});

test('applying the same again changes nothing, times included', () => {
  const config = pod({ hostNetwork: true });
  const live = apply(undefined, config, 'one');
  const again = serverSideApply(live, config, { ...writer('one'), now: 'T2' });
  expect(again).toEqual(live);
  const changed = serverSideApply(live, pod({ hostNetwork: false }), { ...writer('one'), now: 'T2' });
  expect(storedEntries(changed.metadata)[0]?.time).toBe('T2');
});

test('what was there before tracking belongs to before-first-apply', () => {
  const live = pod({ hostNetwork: true, schedulerName: 'a' });
  expect(problem(() => apply(live, pod({ hostNetwork: false }), 'one')).message).toBe(
    'Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .spec.hostNetwork',
  );
  const applied = apply(live, pod({ hostNetwork: true }), 'one');
  expect(managersOf(applied)).toEqual(['Apply one', 'Update before-first-apply']);
});

test('kubectl takes over what its client-side apply wrote, and keeps the annotation right', () => {
  const annotation = 'kubectl.kubernetes.io/last-applied-configuration';
  const config = pod({ hostNetwork: true, schedulerName: 'a' });
  const live = pod(
    { hostNetwork: true, schedulerName: 'b' },
    { annotations: { [annotation]: JSON.stringify(config) } },
  );
  trackCreate(live, writer('kubectl-client-side-apply'));
  const next = pod({ hostNetwork: false, schedulerName: 'a' });
  // The scheduler was changed by somebody since: that stays a conflict.
  expect(problem(() => apply(live, next, 'kubectl')).message).toBe(
    'Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using v1: .spec.schedulerName',
  );
  const applied = apply(live, pod({ hostNetwork: false }), 'kubectl');
  expect(applied.spec).toEqual({ hostNetwork: false, schedulerName: 'b' });
  expect(JSON.parse(applied.metadata?.annotations?.[annotation] ?? '')).toEqual(pod({ hostNetwork: false }));
});

test('arguments are not changed', () => {
  const freeze = <T>(value: T): T => {
    if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(freeze);
    return value;
  };
  const live = freeze(structuredClone(apply(undefined, pod({ containers: [{ name: 'a', image: 'i' }] }), 'one')));
  const config = freeze(pod({ containers: [{ name: 'b', image: 'i' }] }));
  expect(() => apply(live, config, 'one')).not.toThrow();
});

test('custom resources merge as their structural schema says', () => {
  type = mergeTypeOfStructuralSchema({
    type: 'object',
    properties: {
      spec: {
        type: 'object',
        properties: {
          listed: {
            type: 'array',
            'x-kubernetes-list-type': 'map',
            'x-kubernetes-list-map-keys': ['port', 'protocol'],
            items: {
              type: 'object',
              properties: {
                port: { type: 'integer' },
                protocol: { type: 'string', default: 'TCP' },
                to: { type: 'string' },
              },
            },
          },
          tags: { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'string' } },
          whole: { type: 'array', items: { type: 'string' } },
          atom: { type: 'object', 'x-kubernetes-map-type': 'atomic', additionalProperties: { type: 'string' } },
          free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
        },
      },
    },
  });
  const config = pod(
    { listed: [{ port: 1, to: 'x' }], tags: ['a'], whole: ['a'], atom: { a: '1' }, free: { b: { c: [1] } } },
    { labels: { l: '1' } },
  );
  const live = apply(undefined, config, 'one');
  expect(owned(live, 'one')).toEqual({
    'f:metadata': { 'f:labels': { 'f:l': {} } },
    'f:spec': {
      'f:atom': {},
      'f:free': { 'f:b': { '.': {}, 'f:c': {} } },
      'f:listed': { 'k:{"port":1,"protocol":"TCP"}': { '.': {}, 'f:port': {}, 'f:to': {} } },
      'f:tags': { 'v:"a"': {} },
      'f:whole': {},
    },
  });
  const two = apply(live, pod({ listed: [{ port: 2, to: 'y' }], tags: ['b'] }), 'two');
  expect(two.spec).toMatchObject({ listed: [{ port: 1 }, { port: 2 }], tags: ['a', 'b'] });
});
