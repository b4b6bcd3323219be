import { create, refusals, updateRefusals } from '../testing/refusals';
import { csiDriverKind, csiNodeKind, csiStorageCapacityKind } from './csi';
import { runtimeClassKind } from './runtime-class';
import { volumeAttachmentKind } from './volume-attachment';
import { volumeAttributesClassKind } from './volume-attributes-class';

const metadata = { name: 'a.example.com' };

test('a driver gets the defaults of upstream, and keeps whether it attaches', () => {
  const body = { metadata, spec: {} };
  expect(create(csiDriverKind, body).spec).toEqual({
    attachRequired: true,
    podInfoOnMount: false,
    storageCapacity: false,
    fsGroupPolicy: 'ReadWriteOnceWithFSType',
    requiresRepublish: false,
    seLinuxMount: false,
    volumeLifecycleModes: ['Persistent'],
  });
  expect(refusals(csiDriverKind, body)).toEqual([]);
  expect(updateRefusals(csiDriverKind, body, o => (o.spec.attachRequired = false))).toEqual([
    'spec.attachRequired: Invalid value: false: field is immutable',
  ]);
});

test('a driver asks for tokens with an audience and a life of their own', () => {
  const tokenRequests = [{ audience: 'a' }, { audience: 'a', expirationSeconds: 60 }];
  expect(refusals(csiDriverKind, { metadata, spec: { tokenRequests } })).toEqual([
    'spec.tokenRequests[1].audience: Duplicate value: "a"',
    'spec.tokenRequests[1].expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes',
  ]);
});

test('what a driver calls a node does not change', () => {
  const drivers = [{ name: 'a.example.com', nodeID: 'n', topologyKeys: ['zone'] }];
  const body = { metadata: { name: 'n' }, spec: { drivers } };
  expect(refusals(csiNodeKind, body)).toEqual([]);
  expect(updateRefusals(csiNodeKind, body, o => (o.spec.drivers[0]!.allocatable = { count: 3 }))).toEqual([]);
  expect(updateRefusals(csiNodeKind, body, o => (o.spec.drivers[0]!.nodeID = 'm'))[0]).toContain('field is immutable');
  expect(refusals(csiNodeKind, { ...body, spec: { drivers: [...drivers, ...drivers] } })).toEqual([
    'spec.drivers[1].name: Duplicate value: "a.example.com"',
  ]);
});

test('a capacity is of a class, and not negative', () => {
  expect(refusals(csiStorageCapacityKind, { metadata, storageClassName: '', capacity: '-1' })).toEqual([
    'storageClassName: Required value',
    'capacity: Invalid value: "-1": must be greater than or equal to 0',
  ]);
});

test('an attachment is of one volume, and does not change', () => {
  const spec = { attacher: 'a.example.com', nodeName: 'n', source: { persistentVolumeName: 'v' } };
  expect(refusals(volumeAttachmentKind, { metadata, spec })).toEqual([]);
  expect(refusals(volumeAttachmentKind, { metadata, spec: { ...spec, source: {} } })).toEqual([
    'spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName',
  ]);
  expect(updateRefusals(volumeAttachmentKind, { metadata, spec }, o => (o.spec.nodeName = 'm'))[0]).toContain(
    'field is immutable',
  );
});

test('the attributes of volumes belong to a driver, and do not change', () => {
  const body = { metadata, driverName: 'a.example.com', parameters: { iops: '1' } };
  expect(refusals(volumeAttributesClassKind, body)).toEqual([]);
  expect(refusals(volumeAttributesClassKind, { metadata })).toEqual([
    'driverName: Required value',
    'parameters: Required value: must contain at least one key/value pair',
  ]);
  expect(updateRefusals(volumeAttributesClassKind, body, o => (o.parameters = { iops: '2' }))).toEqual([
    'parameters: Invalid value: {"iops":"2"}: field is immutable',
  ]);
});

test('a runtime class keeps its handler', () => {
  const body = { metadata, handler: 'crun' };
  expect(refusals(runtimeClassKind, body)).toEqual([]);
  expect(refusals(runtimeClassKind, { metadata })).toEqual(['handler: Required value']);
  expect(updateRefusals(runtimeClassKind, body, o => (o.handler = 'runc'))).toEqual([
    'handler: Invalid value: "runc": field is immutable',
  ]);
});
