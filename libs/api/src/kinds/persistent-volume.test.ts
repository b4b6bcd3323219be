import { create, refusals, updateRefusals } from '../testing/refusals';
import { eventKind } from './event';
import { persistentVolumeClaimKind, persistentVolumeKind } from './storage';

const metadata = { name: 'v' };
const spec = { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/data' } };
const claim = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '2Gi' } } };

test.each<[string, object, string[]]>([
  ['no place', { hostPath: undefined }, ['spec: Required value: must specify a volume type']],
  [
    'two places',
    { nfs: { server: 's', path: '/p' } },
    ['spec.nfs: Forbidden: may not specify more than 1 volume type'],
  ],
  [
    'a path upwards',
    { hostPath: { path: '/a/../b' } },
    ['spec.hostPath.path: Invalid value: "/a/../b": must not contain \'..\''],
  ],
  [
    'a disk of no node',
    { hostPath: undefined, local: { path: '/disk' } },
    ['spec.nodeAffinity: Required value: Local volume requires node affinity'],
  ],
  [
    'more than storage',
    { capacity: { storage: '1', cpu: '1' } },
    ['spec.capacity: Unsupported value: {"storage":"1","cpu":"1"}: supported values: "storage"'],
  ],
  [
    'a pod of its own and others',
    { accessModes: ['ReadWriteOncePod', 'ReadWriteMany'] },
    ['spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes'],
  ],
])('a volume with %s is refused', (_, change, expected) => {
  expect(refusals(persistentVolumeKind, { metadata, spec: { ...spec, ...change } })).toEqual(expected);
});

test('a volume stays where it is, and may be claimed and relabelled', () => {
  const body = { metadata, spec };
  expect(refusals(persistentVolumeKind, body)).toEqual([]);
  const move = updateRefusals(persistentVolumeKind, body, o => (o.spec!.hostPath!.path = '/other'));
  expect(move).toEqual([
    'spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation',
  ]);
  const use = updateRefusals(persistentVolumeKind, body, o => {
    o.spec!.claimRef = { namespace: 'default', name: 'c' };
    o.spec!.persistentVolumeReclaimPolicy = 'Delete';
  });
  expect(use).toEqual([]);
});

test('a claim grows once it is bound, and shrinks to no less than it has', () => {
  const old = create(persistentVolumeClaimKind, { metadata, spec: claim });
  const ask = (storage: string): string[] => {
    const next = structuredClone(old);
    next.spec!.resources!.requests!['storage'] = storage;
    return persistentVolumeClaimKind.strategy.validateUpdate(next, old).map(error => error.detail);
  };
  const fixed =
    'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims';
  expect(ask('3Gi')).toEqual([fixed]);
  old.status = { phase: 'Bound', capacity: { storage: '1Gi' } };
  expect(ask('3Gi')).toEqual([]);
  expect(ask('1500Mi')).toEqual([]);
  expect(ask('1Gi')).toEqual(['field can not be less than status.capacity']);
});

test('a new event of events.k8s.io says when, who and what, and only its series goes on', () => {
  const event = {
    metadata: { name: 'e' },
    eventTime: '2026-01-01T00:00:00.000000Z',
    reportingController: 'example.com/c',
    reportingInstance: 'c-1',
    action: 'Trying',
    reason: 'Tried',
    type: 'Normal',
    regarding: { namespace: 'default' },
  };
  expect(refusals(eventKind, event)).toEqual([]);
  expect(refusals(eventKind, { ...event, eventTime: undefined, action: '', type: 'Odd', deprecatedCount: 1 })).toEqual([
    'eventTime: Required value',
    'action: Required value',
    'type: Invalid value: "": has invalid value: Odd',
    'count: Invalid value: "": needs to be unset',
  ]);
  const series = { count: 2, lastObservedTime: '2026-01-01T00:00:01.000000Z' };
  expect(updateRefusals(eventKind, event, o => (o.series = series))).toEqual([]);
  expect(updateRefusals(eventKind, event, o => (o.note = 'other'))).toEqual([
    'message: Invalid value: "other": field is immutable',
  ]);
});
