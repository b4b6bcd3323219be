import type { KubeObject } from '@naru/api';
import { encodeObject, encodeToFit, maxObjectBytes } from './codec';

function objectOf(dataBytes: number, ownersBytes: number): KubeObject {
  const managedFields = [{ manager: 'm'.repeat(ownersBytes) }];
  const metadata = { name: 'large', ...(ownersBytes > 0 ? { managedFields } : {}) };
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { a: 'x'.repeat(dataBytes) } } as KubeObject;
}

test('an object that is too large with the owners of its fields is stored without them', () => {
  const object = objectOf(maxObjectBytes / 2, maxObjectBytes / 2);
  // Jest looks at each of a million bytes by itself.
  expect(encodeToFit(object).equals(encodeObject(objectOf(maxObjectBytes / 2, 0)))).toBe(true);
  expect(object.metadata).not.toHaveProperty('managedFields');
});

test.each([
  ['that is too large without owners', objectOf(maxObjectBytes, 0), {}],
  ['that is too large even without its owners', objectOf(maxObjectBytes, 10), {}],
  ['whose owners make it too large and are what it was written for', objectOf(10, maxObjectBytes), { owned: true }],
])('an object %s is refused', (_, object, options) => {
  expect(() => encodeToFit(object, options)).toThrow(
    expect.objectContaining({ code: 413, message: expect.stringContaining(`limit is ${maxObjectBytes}`) as string }),
  );
});

test('an object that is small enough keeps all', () => {
  const object = objectOf(10, 10);
  expect(encodeToFit(object)).toEqual(encodeObject(object));
});
