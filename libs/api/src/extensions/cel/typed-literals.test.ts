import { withoutTypedLiterals } from './typed-literals';

test.each([
  ['object.spec.replicas + 1', 'object.spec.replicas + 1'],
  ['Object{spec: Object.spec{replicas: 3}}', '{ "spec": { "replicas": 3}}'],
  ['Object{metadata: Object.metadata{labels: {"a": "b{c: d}"}}}', '{ "metadata": { "labels": {"a": "b{c: d}"}}}'],
  [
    '[JSONPatch{op: "add", path: "/a", value: {"x": [1, f(y, z)]}}]',
    '[{ "op": "add", "path": "/a", "value": {"x": [1, f(y, z)]}}]',
  ],
  ['Object{spec: has(a) ? Object.spec{x: a} : Object.spec{y: 1}}', '{ "spec": has(a) ? { "x": a} : { "y": 1}}'],
  ['Object{?spec: optional.none()}', '{ ?"spec": optional.none()}'],
  ["myObject.list.map(x, {'a': x})", "myObject.list.map(x, {'a': x})"],
])('the literals of %s become maps', (typed, plain) => {
  expect(withoutTypedLiterals(typed)).toBe(plain);
});
