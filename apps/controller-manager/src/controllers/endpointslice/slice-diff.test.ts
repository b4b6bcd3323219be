import type { Endpoint, EndpointSlice, Stored } from '@naru/api';
import { diffSlices } from './slice-diff';

const ports = [{ name: 'http', protocol: 'TCP', port: 80 }];
const endpoint = (i: number, ready = true): Endpoint => ({
  addresses: [`10.0.${Math.floor(i / 250)}.${i % 250}`],
  conditions: { ready, serving: ready, terminating: false },
  targetRef: { kind: 'Pod', uid: `uid-${i}` },
});
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => endpoint(from + i));
const slice = (name: string, endpoints: Endpoint[], port = 80): Stored<EndpointSlice> => ({
  metadata: { name, uid: name, resourceVersion: '1' },
  addressType: 'IPv4',
  ports: [{ name: 'http', protocol: 'TCP', port }],
  endpoints,
});
const summary = (existing: Stored<EndpointSlice>[], endpoints: Endpoint[]) => {
  const changes = diffSlices(existing, endpoints.length > 0 ? [{ ports, endpoints }] : [], 'IPv4');
  return {
    create: changes.create.map(contents => contents.endpoints.length),
    update: changes.update.map(({ slice, endpoints }) => [slice.metadata.name, endpoints.length]),
    delete: changes.delete.map(({ metadata }) => metadata.name),
  };
};

test.each([
  ['nothing to do', [slice('a', range(0, 3))], range(0, 3), { create: [], update: [], delete: [] }],
  ['the first slices', [], range(0, 250), { create: [100, 100, 50], update: [], delete: [] }],
  ['one endpoint more', [slice('a', range(0, 3))], range(0, 4), { create: [], update: [['a', 4]], delete: [] }],
  [
    'one that left a full slice is replaced there',
    [slice('a', range(0, 100)), slice('b', range(100, 150))],
    [...range(1, 150), endpoint(500)],
    { create: [], update: [['a', 100]], delete: [] },
  ],
  ['all gone', [slice('a', range(0, 3))], [], { create: [], update: [], delete: ['a'] }],
  [
    'ports changed: another slice',
    [slice('a', range(0, 3), 8080)],
    range(0, 3),
    { create: [3], update: [], delete: ['a'] },
  ],
  [
    'readiness changed in one slice of two',
    [slice('a', range(0, 100)), slice('b', range(100, 101))],
    [...range(0, 100), endpoint(100, false)],
    { create: [], update: [['b', 1]], delete: [] },
  ],
])('%s', (_what, existing, endpoints, expected) => expect(summary(existing, endpoints)).toEqual(expected));
