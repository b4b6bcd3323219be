import { TypeChecker } from './type-check';

const components = {
  Meta: {
    type: 'object',
    properties: { name: { type: 'string' }, labels: { type: 'object', additionalProperties: { type: 'string' } } },
  },
  Container: {
    type: 'object',
    properties: {
      image: { type: 'string' },
      'host-ip': { type: 'string' },
      port: { 'x-kubernetes-int-or-string': true },
    },
  },
  'com.example.my-group.v1.2Odd': {
    type: 'object',
    properties: {
      constructor: { type: 'string' },
      'a-b': { type: 'object', properties: { x: { type: 'integer' } } },
      a__dash__b: { type: 'object', properties: { y: { type: 'integer' } } },
      list: { type: 'array', items: { type: 'object', properties: { z: { type: 'integer' } } } },
      map: { type: 'object', additionalProperties: { type: 'object', properties: { w: { type: 'integer' } } } },
    },
  },
  Schema: {
    type: 'object',
    properties: { items: { $ref: '#/components/schemas/Schema' }, type: { type: 'string' } },
  },
  Spec: {
    type: 'object',
    properties: {
      replicas: { type: 'integer' },
      odd: { $ref: '#/components/schemas/com.example.my-group.v1.2Odd' },
      paused: { type: 'boolean' },
      namespace: { type: 'string' },
      since: { type: 'string', format: 'date-time' },
      schema: { $ref: '#/components/schemas/Schema' },
      containers: { type: 'array', items: { allOf: [{ $ref: '#/components/schemas/Container' }] } },
    },
  },
};
const schema = {
  type: 'object',
  properties: {
    metadata: { allOf: [{ $ref: '#/components/schemas/Meta' }], default: {} },
    spec: { allOf: [{ $ref: '#/components/schemas/Spec' }] },
  },
};
const object = { kind: 'Thing', schema, components };
const params = { kind: 'Limit', schema: { type: 'object', properties: { max: { type: 'integer' } } }, components: {} };
const variables = [
  { name: 'replicas', expression: 'object.spec.replicas' },
  { name: 'double', expression: 'variables.replicas * 2' },
  { name: 'broken', expression: 'object.nothing' },
];
const checker = new TypeChecker({ object, params, variables });

test.each([
  'object.spec.replicas > 1 && object.metadata.name.startsWith("a")',
  'object == null || oldObject != null && object.spec != null',
  'object.spec.containers.all(c, c.image.contains("/") && c.host__dash__ip != "" && c.port == 80)',
  'has(object.spec.paused) ? object.spec.paused : object.spec.__namespace__ == request.namespace',
  'has(object.spec.containers[0].image) && has(object.spec.containers.filter(c, has(c.port))[0].image)',
  'object.metadata.?labels[?"app"].orValue("") == "web"',
  'object.spec.schema.items.type == "x"',
  'variables.double <= params.max && variables.broken.whatever == 1',
  'request.userInfo.groups.exists(g, g == "a") && namespaceObject.metadata.labels["a"] == "b"',
  'authorizer.group("apps").resource("deployments").check("get").allowed()',
  'object.spec.odd.constructor == "" && object.spec.odd.a__dash__b.x == 1 && object.spec.odd.list[0].z == 1',
  'object.spec.odd.map["k"].w == 1 && object.spec.odd.list.all(o, o != null)',
  'object.spec.since < timestamp("2026-01-01T00:00:00Z")',
])('nothing is wrong with %s', expression => expect(checker.problemOf(expression)).toBeUndefined());

test.each([
  ['object.foo > 1', "1:7: undefined field 'foo'", 6],
  ['has(object.spec.foo)', "1:4: undefined field 'foo'", 3],
  ['object.spec.replicas > "a"', "1:22: found no matching overload for '_>_' applied to '(int, string)'", 21],
  ['object.metadata.labels["a"] == 1', "1:29: found no matching overload for '_==_' applied to '(string, int)'", 28],
  ['size(object.spec.replicas) == 1', "1:5: found no matching overload for 'size' applied to '(int)'", 4],
  [
    'object.spec.replicas.startsWith("a")',
    "1:32: found no matching overload for 'startsWith' applied to 'int.(string)'",
    31,
  ],
  ['object.spec.since > 3', "1:19: found no matching overload for '_>_' applied to '(timestamp, int)'", 18],
  ['foo == 1', "1:1: undeclared reference to 'foo' (in container '')", 0],
  ['object.spec.containers.all(c, c.name == "a")', "1:32: undefined field 'name'", 31],
  ['variables.double == "a"', "1:18: found no matching overload for '_==_' applied to '(int, string)'", 17],
  ['variables.missing == 1', "1:10: undefined field 'missing'", 9],
  ['params.min > 1', "1:7: undefined field 'min'", 6],
  ['request.kind.resource == ""', "1:13: undefined field 'resource'", 12],
  ['object.spec.schema.items.items.typo == ""', undefined, 0],
])('of %s the compiler says %s', (expression, words, column) => {
  const expected = words && `ERROR: <input>:${words}\n | ${expression}\n | ${'.'.repeat(column)}^`;
  expect(checker.problemOf(expression)).toBe(expected);
});

test('a mistake in a later line is shown with that line', () => {
  expect(checker.problemOf('object.spec.paused ||\n  object.spec.bar')).toBe(
    "ERROR: <input>:2:14: undefined field 'bar'\n |   object.spec.bar\n | .............^",
  );
});
