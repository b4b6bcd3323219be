import { difference, eachMember, intersection, union, type FieldsV1 } from './fields-v1';

/** A set from paths written as "f:a/f:b". */
function setOf(paths: Iterable<string>): FieldsV1 {
  const root: Record<string, never> = {};
  for (const path of [...paths].sort()) {
    let node: Record<string, Record<string, never>> = root;
    let isNew = false;
    for (const element of path.split('/')) {
      const parent: Record<string, Record<string, never>> = node;
      isNew = !(element in parent);
      // A member that gets children says so.
      if (node !== root && Object.keys(node).length === 0 && marked.has(node)) node['.'] = {};
      node = parent[element] ??= {};
    }
    if (isNew) marked.add(node);
    else node['.'] = {};
  }
  return ordered(root);
}
const marked = new WeakSet<object>();

function ordered(node: FieldsV1): FieldsV1 {
  return Object.fromEntries(
    Object.keys(node)
      .sort()
      .map(key => [key, ordered(node[key]!)]),
  );
}

function pathsOf(set: FieldsV1): Set<string> {
  const paths = new Set<string>();
  eachMember(set, path => paths.add(path.join('/')));
  return paths;
}

test('sets behave as sets of paths, members with and without children', () => {
  let seed = 1;
  const random = (below: number): number => (seed = (seed * 48271) % 0x7fffffff) % below;
  const randomPaths = (): Set<string> =>
    new Set(
      Array.from({ length: random(6) }, () =>
        Array.from({ length: 1 + random(3) }, () => `f:${'abc'[random(3)]}`).join('/'),
      ),
    );
  for (let round = 0; round < 2000; round++) {
    const a = randomPaths();
    const b = randomPaths();
    const [left, right] = [setOf(a), setOf(b)];
    expect(pathsOf(left)).toEqual(a);
    const expected = {
      union: new Set([...a, ...b]),
      difference: new Set([...a].filter(path => !b.has(path))),
      intersection: new Set([...a].filter(path => b.has(path))),
    };
    // Compared as text: the order of elements counts, because sets are stored as they are.
    const text = (set: FieldsV1): string => JSON.stringify(set);
    expect(text(union(left, right))).toBe(text(setOf(expected.union)));
    expect(text(difference(left, right))).toBe(text(setOf(expected.difference)));
    expect(text(intersection(left, right))).toBe(text(setOf(expected.intersection)));
  }
});

test('what does not change is shared', () => {
  const set = setOf(['f:a/f:b', 'f:c']);
  expect(union(set, setOf(['f:c']))).toBe(set);
  expect(difference(set, setOf(['f:x/f:y']))).toBe(set);
  expect(difference(set, setOf(['f:c']))['f:a']).toBe(set['f:a']);
});
