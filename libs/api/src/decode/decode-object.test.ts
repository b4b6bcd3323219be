import { deployments, leases, pods, secrets } from '../resource';
import { decodeObject, decodeValue } from './decode-object';
import { duplicateFields } from './duplicate-fields';

const pod = { type: pods };
const text = (value: unknown): string => JSON.stringify(value);

describe('decodeObject', () => {
  test('copies an object, sets its type and drops nulls and empty optional lists', () => {
    const { object, warnings } = decodeObject(
      text({ metadata: { name: 'p', labels: {}, creationTimestamp: null }, spec: { containers: [], volumes: [] } }),
      pod,
    );
    expect(object).toEqual({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec: { containers: [] } });
    expect(warnings).toEqual([]);
  });

  test('writes quantities and times in canonical form', () => {
    const resources = { limits: { cpu: 1.5, memory: '1024Mi', 'ephemeral-storage': '1u' } };
    const { object } = decodeObject(text({ spec: { containers: [{ name: 'c', resources }] } }), pod);
    expect(object.spec?.containers[0]?.resources).toEqual({
      limits: { cpu: '1500m', memory: '1Gi', 'ephemeral-storage': '1m' },
    });
    const lease = decodeObject(text({ spec: { renewTime: '2026-01-01T02:00:00.5+02:00' } }), { type: leases }).object;
    expect(lease.spec?.renewTime).toBe('2026-01-01T00:00:00.500000Z');
  });

  test.each([
    [
      { spec: { containers: 'x' } },
      'cannot unmarshal string into Go struct field PodSpec.spec.containers of type []v1.Container',
    ],
    [{ spec: { containers: [{ name: 5 }] } }, 'Container.spec.containers[0].name of type string'],
    [{ spec: { priority: 1.5 } }, 'number 1.5 into Go struct field PodSpec.spec.priority of type int32'],
    [{ spec: { priority: 3e9 } }, 'PodSpec.spec.priority of type int32'],
    [{ spec: { terminationGracePeriodSeconds: 9007199254740993 } }, 'of type int64'],
    [{ spec: { hostNetwork: 'yes' } }, 'PodSpec.spec.hostNetwork of type bool'],
    [{ metadata: { labels: { a: 1 } } }, 'ObjectMeta.metadata.labels.a of type string'],
    [{ metadata: { creationTimestamp: 'today' } }, 'metadata.creationTimestamp'],
    [
      { spec: { containers: [{ resources: { limits: { cpu: '1x' } } }] } },
      'quantities must match the regular expression',
    ],
    [{ spec: [] }, 'cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec'],
  ])('%j is a bad request that names the field', (value, message) => {
    expect(() => decodeObject(text(value), pod)).toThrow(
      expect.objectContaining({ code: 400, message: expect.stringContaining(message) as unknown }),
    );
  });

  test('unknown and duplicate fields are warnings, errors in Strict and nothing in Ignore', () => {
    const json = '{"spec":{"foo":1,"containers":[{"name":"a","nam":"b","name":"c"}]}}';
    expect(decodeObject(json, pod).warnings).toEqual([
      'unknown field "spec.foo"',
      'unknown field "spec.containers[0].nam"',
      'duplicate field "spec.containers[0].name"',
    ]);
    expect(() => decodeObject(json, pod, { fieldValidation: 'Strict' })).toThrow(
      'Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "spec.foo", unknown field "spec.containers[0].nam", duplicate field "spec.containers[0].name"',
    );
    const ignored = decodeObject(json, pod, { fieldValidation: 'Ignore' });
    expect(ignored.warnings).toEqual([]);
    expect(ignored.object.spec).toEqual({ containers: [{ name: 'c' }] });
  });

  test('another kind or version than the one asked for is refused', () => {
    expect(() => decodeObject(text({ kind: 'Node' }), pod)).toThrow('Node in version "v1" cannot be handled as a Pod');
    expect(() => decodeObject(text({ apiVersion: 'v1' }), { type: deployments })).toThrow(
      'the API version in the data (v1) does not match the expected API version (apps/v1)',
    );
  });

  test.each(['', '{', '[]', '5', 'null', '{"a":1}x'])('%j is not an object', json => {
    expect(() => decodeObject(json, pod)).toThrow(expect.objectContaining({ reason: 'BadRequest' }));
  });

  test('bytes must be base64', () => {
    const bad = text({ data: { a: 'not base64!' } });
    expect(() => decodeObject(bad, { type: secrets })).toThrow('illegal base64 data in field data.a');
  });

  test('keys that JavaScript treats specially stay data', () => {
    const json = '{"metadata":{"labels":{"__proto__":"x","constructor":"y"}}}';
    const labels = decodeObject(json, pod).object.metadata?.labels as object;
    expect(Object.keys(labels)).toEqual(['__proto__', 'constructor']);
    expect(Object.getPrototypeOf(labels)).toBe(Object.prototype);
  });

  test('depth is bounded where there is no schema', () => {
    const deep = `${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`;
    const body = `{"metadata":{"managedFields":[{"fieldsV1":${deep}}]}}`;
    expect(() => decodeObject(body, pod)).toThrow('exceeded max depth');
  });

  test('a kind without a schema keeps what it has, with checked metadata', () => {
    const type = { group: 'example.com', version: 'v1', kind: 'Thing' };
    expect(decodeValue({ spec: { any: [1] }, metadata: { name: 'x' } }, { type }).object).toMatchObject({
      apiVersion: 'example.com/v1',
      spec: { any: [1] },
    });
    expect(() => decodeValue({ metadata: { labels: [] } }, { type })).toThrow('labels');
  });

  test('does not change the value it is given', () => {
    const value = Object.freeze({ spec: Object.freeze({ containers: Object.freeze([]) }) });
    expect(decodeValue(value, pod).object.spec).not.toBe(value.spec);
  });
});

test('duplicateFields finds keys twice in one object only, escaped or not', () => {
  expect(duplicateFields('{"a":{"b":1},"c":{"b":"a\\"b: {"},"d":[{"x":1},{"x":1,"\\u0078":2}]}')).toEqual(['d[1].x']);
});
