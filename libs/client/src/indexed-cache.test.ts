import type { Pod, Stored } from '@naru/api';
import { IndexedCache, objectKey, parseKey } from './indexed-cache';

const pod = (namespace: string, name: string, nodeName?: string): Stored<Pod> => ({
  metadata: { namespace, name, uid: name, resourceVersion: '1' },
  spec: { containers: [], nodeName },
});

test('an object is found by key, namespace and index, and only where it belongs after a change', () => {
  const cache = new IndexedCache<Pod>({ byNode: object => (object.spec?.nodeName ? [object.spec.nodeName] : []) });
  cache.set(pod('a', 'x'));
  cache.set(pod('a', 'y', 'n1'));
  cache.set(pod('b', 'x', 'n1'));
  expect(cache.byIndex('byNode', 'n1')).toHaveLength(2);
  cache.set(pod('a', 'y', 'n2'));
  expect(cache.byIndex('byNode', 'n1').map(objectKey)).toEqual(['b/x']);
  expect(cache.byIndex('byNode', 'n2').map(objectKey)).toEqual(['a/y']);
  expect(cache.list('a')).toHaveLength(2);
  cache.delete('a/y');
  expect(cache.byIndex('byNode', 'n2')).toEqual([]);
  expect(cache.list('a').map(objectKey)).toEqual(['a/x']);
  expect(cache.size).toBe(2);
});

test('keys of namespaced and cluster-scoped objects are read back', () => {
  expect(parseKey('a/x')).toEqual({ namespace: 'a', name: 'x' });
  expect(parseKey('n1')).toEqual({ name: 'n1' });
  expect(objectKey(parseKey('a/x'))).toBe('a/x');
});

test('an index that nobody declared is a mistake', () => {
  expect(() => new IndexedCache<Pod>().byIndex('byNode', 'n1')).toThrow(/no index is named byNode/);
});
