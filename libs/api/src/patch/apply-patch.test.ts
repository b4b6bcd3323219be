import { deployments, nodes, pods, services } from '../resource';
import { applyPatch, patchMediaTypes } from './apply-patch';

const deployment = { type: deployments, strategicMerge: true };
const pod = { type: pods, strategicMerge: true };

function frozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(frozen);
  return value;
}

function strategic(original: unknown, patch: unknown, kind: Parameters<typeof applyPatch>[3] = pod): unknown {
  return applyPatch(patchMediaTypes.strategic, frozen(original) as never, JSON.stringify(patch), kind);
}
function json(original: unknown, patch: unknown): unknown {
  return applyPatch(patchMediaTypes.json, frozen(original) as never, JSON.stringify(patch), pod);
}

describe('strategic merge patch', () => {
  const original = {
    metadata: { labels: { a: '1', b: '2' }, finalizers: ['x', 'y'] },
    spec: {
      containers: [
        { name: 'a', image: 'a:1', env: [{ name: 'E', value: '1' }] },
        { name: 'b', image: 'b:1' },
      ],
      tolerations: [{ key: 'one' }],
      volumes: [{ name: 'v', emptyDir: {} }],
    },
  };

  test('merges containers by name and keeps the others', () => {
    expect(strategic(original, { spec: { containers: [{ name: 'b', image: 'b:2' }] } })).toMatchObject({
      spec: {
        containers: [
          { name: 'a', image: 'a:1', env: [{ name: 'E', value: '1' }] },
          { name: 'b', image: 'b:2' },
        ],
      },
    });
  });

  test('puts a new container before the ones that the server has, as upstream does', () => {
    const result = strategic(original, { spec: { containers: [{ name: 'c', image: 'c' }] } });
    expect(result).toMatchObject({ spec: { containers: [{ name: 'c' }, { name: 'a' }, { name: 'b' }] } });
  });

  test('removes elements with $patch: delete and fields with null', () => {
    const result = strategic(original, {
      metadata: { labels: { a: null } },
      spec: { containers: [{ name: 'a', $patch: 'delete' }] },
    });
    expect(result).toMatchObject({ metadata: { labels: { b: '2' } }, spec: { containers: [{ name: 'b' }] } });
    expect(JSON.stringify(result)).not.toContain('"a"');
  });

  test('replaces a list with $patch: replace', () => {
    const result = strategic(original, { spec: { containers: [{ name: 'z' }, { $patch: 'replace' }] } });
    expect(result).toMatchObject({ spec: { containers: [{ name: 'z' }] } });
    expect((result as typeof original).spec.containers).toHaveLength(1);
  });

  test('replaces and deletes maps by directive', () => {
    expect(strategic(original, { metadata: { labels: { $patch: 'replace', c: '3' } } })).toMatchObject({
      metadata: { labels: { c: '3' } },
    });
    expect(
      (strategic(original, { metadata: { labels: { $patch: 'replace', c: '3' } } }) as typeof original).metadata.labels,
    ).toEqual({ c: '3' });
    expect(
      (strategic(original, { metadata: { labels: { $patch: 'delete' } } }) as typeof original).metadata.labels,
    ).toEqual({});
  });

  test('replaces a list without a merge key', () => {
    const result = strategic(original, { spec: { tolerations: [{ key: 'two' }] } });
    expect((result as typeof original).spec.tolerations).toEqual([{ key: 'two' }]);
  });

  test('keeps only the keys of $retainKeys', () => {
    const result = strategic(original, {
      spec: { volumes: [{ name: 'v', $retainKeys: ['name', 'hostPath'], hostPath: { path: '/x' } }] },
    });
    expect((result as typeof original).spec.volumes).toEqual([{ name: 'v', hostPath: { path: '/x' } }]);
  });

  test('retains keys of the deployment strategy', () => {
    const result = strategic(
      { spec: { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1 } } } },
      { spec: { strategy: { $retainKeys: ['type'], type: 'Recreate' } } },
      deployment,
    );
    expect(result).toEqual({ spec: { strategy: { type: 'Recreate' } } });
  });

  test('merges primitive lists and deletes from them', () => {
    expect(strategic(original, { metadata: { finalizers: ['z', 'x'] } })).toMatchObject({
      metadata: { finalizers: ['z', 'x', 'y'] },
    });
    expect(strategic(original, { metadata: { '$deleteFromPrimitiveList/finalizers': ['x'] } })).toMatchObject({
      metadata: { finalizers: ['y'] },
    });
  });

  test('orders elements by $setElementOrder', () => {
    const result = strategic(original, {
      spec: {
        '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }],
        containers: [{ name: 'a', image: 'a:2' }],
      },
    });
    expect(result).toMatchObject({ spec: { containers: [{ name: 'b' }, { name: 'a', image: 'a:2' }] } });
    expect(JSON.stringify(result)).not.toContain('$');
    expect(
      strategic(original, { spec: { '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }] } }),
    ).toMatchObject({ spec: { containers: [{ name: 'b' }, { name: 'a' }] } });
  });

  test('merges conditions by type in a status', () => {
    const node = {
      status: {
        conditions: [
          { type: 'Ready', status: 'True' },
          { type: 'Disk', status: 'False' },
        ],
      },
    };
    expect(strategic(node, { status: { conditions: [{ type: 'Ready', status: 'False' }] } }, { type: nodes })).toEqual({
      status: {
        conditions: [
          { type: 'Ready', status: 'False' },
          { type: 'Disk', status: 'False' },
        ],
      },
    });
  });

  test('keeps both of two elements with the same key', () => {
    const service = {
      spec: {
        ports: [
          { port: 53, protocol: 'UDP' },
          { port: 53, protocol: 'TCP' },
        ],
      },
    };
    const patch = {
      spec: { '$setElementOrder/ports': [{ port: 53 }, { port: 53 }, { port: 9 }], ports: [{ port: 9 }] },
    };
    expect(strategic(service, patch, { type: services })).toEqual({
      spec: { ports: [{ port: 53, protocol: 'UDP' }, { port: 53, protocol: 'TCP' }, { port: 9 }] },
    });
  });

  test('refuses an element without its merge key', () => {
    expect(() => strategic(original, { spec: { containers: [{ image: 'x' }] } })).toThrow(
      'does not contain declared merge key: name',
    );
  });

  test('strips directives and nulls from what is new', () => {
    expect(strategic({}, { spec: { volumes: [{ name: 'n', $retainKeys: ['name'], x: null }] } })).toEqual({
      spec: { volumes: [{ name: 'n' }] },
    });
  });
});

describe('merge patch', () => {
  test('replaces lists, deletes by null and shares what it does not touch', () => {
    const original = frozen({ spec: { a: { b: 1 }, list: [1, 2], gone: 1 } });
    const result = applyPatch(
      'application/merge-patch+json; charset=utf-8',
      original as never,
      '{"spec":{"list":[3],"gone":null,"new":{"x":null}}}',
      pod,
    );
    expect(result).toEqual({ spec: { a: { b: 1 }, list: [3], new: {} } });
    expect((result as typeof original).spec.a).toBe(original.spec.a);
  });

  test('a key called __proto__ stays a key', () => {
    const result = applyPatch(patchMediaTypes.merge, {}, '{"__proto__":{"x":1}}', pod) as object;
    expect(Object.getPrototypeOf(result)).toBe(Object.prototype);
    expect(Object.keys(result)).toEqual(['__proto__']);
  });
});

describe('JSON patch', () => {
  test('adds, replaces, removes, moves, copies and tests', () => {
    expect(
      json({ a: [1, 2], b: { 'c/d': 1 } }, [
        { op: 'test', path: '/b/c~1d', value: 1 },
        { op: 'add', path: '/a/1', value: 9 },
        { op: 'add', path: '/a/-', value: 3 },
        { op: 'remove', path: '/a/0' },
        { op: 'copy', from: '/b', path: '/e' },
        { op: 'move', from: '/b/c~1d', path: '/b/f' },
        { op: 'replace', path: '/e/c~1d', value: { g: 1 } },
      ]),
    ).toEqual({ a: [9, 2, 3], b: { f: 1 }, e: { 'c/d': { g: 1 } } });
  });

  test.each([
    [[{ op: 'test', path: '/a', value: 2 }]],
    [[{ op: 'remove', path: '/x' }]],
    [[{ op: 'replace', path: '/x/y', value: 1 }]],
    [[{ op: 'add', path: '/list/7', value: 1 }]],
  ])('%j does not apply', patch => {
    expect(() => json({ a: 1, list: [] }, patch)).toThrow(expect.objectContaining({ reason: 'Invalid', code: 422 }));
  });

  test.each([
    [{}],
    [[{ op: 'jump', path: '/a' }]],
    [[{ op: 'add', path: 'a', value: 1 }]],
    [[{ op: 'add', path: '/a' }]],
  ])('%j is malformed', patch => {
    expect(() => json({}, patch)).toThrow(expect.objectContaining({ reason: 'BadRequest' }));
  });

  test('too many operations are refused before they run', () => {
    const patch = Array.from({ length: 10_001 }, () => ({ op: 'add', path: '/a', value: 1 }));
    expect(() => json({}, patch)).toThrow(expect.objectContaining({ code: 413 }));
  });

  test('copies cannot grow the object without bound', () => {
    const patch = Array.from({ length: 40 }, () => ({ op: 'copy', from: '/a', path: '/a/-' }));
    expect(() => json({ a: ['x'.repeat(1000)] }, patch)).toThrow('too large');
  });
});

test('server-side apply and unknown types are unsupported media types', () => {
  for (const type of [patchMediaTypes.apply, 'text/plain'])
    expect(() => applyPatch(type, {}, '{}', pod)).toThrow(expect.objectContaining({ code: 415 }));
});
