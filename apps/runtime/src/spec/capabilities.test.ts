import { cri } from '@naru/proto';
import { boundingSet, containerCapabilities } from './capabilities';

const all = boundingSet('CapBnd:\t000001ffffffffff');
const of = (capability: Partial<cri.Capability>, bounding = all, privileged = false): string[] =>
  containerCapabilities({ privileged, capability: cri.Capability.fromPartial(capability) }, bounding).bounding;

test('a container that asks for nothing has the usual fourteen, and none is inherited', () => {
  expect(of({})).toHaveLength(14);
  expect(containerCapabilities({ privileged: false, capability: undefined }, all).inheritable).toEqual([]);
});

test('capabilities are dropped and added, with or without their prefix, and ALL means all', () => {
  expect(of({ dropCapabilities: ['ALL'], addCapabilities: ['net_bind_service', 'CAP_CHOWN'] })).toEqual([
    'CAP_CHOWN',
    'CAP_NET_BIND_SERVICE',
  ]);
  expect(of({ dropCapabilities: ['NET_RAW'] })).not.toContain('CAP_NET_RAW');
  expect(of({ addCapabilities: ['ALL'], dropCapabilities: ['SYS_ADMIN'] })).toHaveLength(40);
  expect(() => of({ addCapabilities: ['FLY'] })).toThrow('unknown capability "FLY"');
});

test('nothing is given that the runtime does not have itself', () => {
  const bounding = boundingSet('CapBnd:\t000001fffeffffff'); // without CAP_SYS_RESOURCE
  expect(of({}, bounding, true)).toHaveLength(40);
  expect(of({ addCapabilities: ['SYS_RESOURCE'] }, bounding)).not.toContain('CAP_SYS_RESOURCE');
});

test('ambient capabilities are in every set', () => {
  const sets = containerCapabilities(
    { privileged: false, capability: cri.Capability.fromPartial({ addAmbientCapabilities: ['NET_ADMIN'] }) },
    all,
  );
  for (const set of Object.values(sets)) expect(set).toContain('CAP_NET_ADMIN');
});
