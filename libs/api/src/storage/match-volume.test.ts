import type { Node, PersistentVolume, PersistentVolumeClaim } from '../types';
import { findMatchingVolume } from './match-volume';

const volume = (name: string, storage: string, spec: Partial<NonNullable<PersistentVolume['spec']>> = {}) => ({
  metadata: { name, labels: { tier: name } },
  spec: { capacity: { storage }, accessModes: ['ReadWriteOnce'], ...spec },
  status: { phase: 'Available' },
});
const claim = (spec: Partial<NonNullable<PersistentVolumeClaim['spec']>> = {}): PersistentVolumeClaim => ({
  metadata: { namespace: 'default', name: 'data', uid: 'u' },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...spec },
});
const on = (hostname: string): NonNullable<PersistentVolume['spec']>['nodeAffinity'] => ({
  required: {
    nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [hostname] }] }],
  },
});
const node = (name: string): Node => ({ metadata: { name, labels: { 'kubernetes.io/hostname': name } } });

test('a claim gets the smallest volume that is large enough', () => {
  const volumes = [volume('small', '500Mi'), volume('large', '5Gi'), volume('right', '1Gi')];
  expect(findMatchingVolume(claim(), volumes)?.metadata.name).toBe('right');
});

test.each<[string, PersistentVolumeClaim, PersistentVolume]>([
  ['class', claim({ storageClassName: 'fast' }), volume('v', '1Gi')],
  ['access mode', claim({ accessModes: ['ReadWriteMany'] }), volume('v', '1Gi')],
  ['volume mode', claim({ volumeMode: 'Block' }), volume('v', '1Gi')],
  ['selector', claim({ selector: { matchLabels: { tier: 'other' } } }), volume('v', '1Gi')],
  ['claimRef', claim(), volume('v', '1Gi', { claimRef: { namespace: 'default', name: 'data', uid: 'another' } })],
  ['phase', claim(), { ...volume('v', '1Gi'), status: { phase: 'Released' } }],
])('a volume of another %s does not match', (_what, wanted, offered) => {
  expect(findMatchingVolume(wanted, [offered])).toBeUndefined();
});

test('a volume that is reserved for the claim by name comes first, whatever its class', () => {
  const claimRef = { namespace: 'default', name: 'data' };
  const reserved = volume('reserved', '9Gi', { claimRef, storageClassName: 'other' });
  expect(findMatchingVolume(claim(), [volume('v', '1Gi'), reserved])?.metadata.name).toBe('reserved');
});

test('a class that waits for a pod finds volumes only for a node, and only those of the node', () => {
  const volumes = [volume('a', '1Gi', { nodeAffinity: on('a') }), volume('b', '1Gi', { nodeAffinity: on('b') })];
  expect(findMatchingVolume(claim(), volumes, { waitsForConsumer: true })).toBeUndefined();
  const found = findMatchingVolume(claim(), volumes, { waitsForConsumer: true, node: node('b') });
  expect(found?.metadata.name).toBe('b');
  expect(findMatchingVolume(claim(), volumes, { node: node('b'), excluded: new Set(['b']) })).toBeUndefined();
});
