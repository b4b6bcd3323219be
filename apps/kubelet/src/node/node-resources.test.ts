import { parseThresholds } from '../eviction/thresholds';
import type { MachineReading } from './machine';
import { nodeResources } from './node-resources';
import { parseReserved } from './reserved';

const gi = 2 ** 30;
const machine: MachineReading = {
  cores: 4,
  memoryBytes: 8 * gi,
  memoryAvailableBytes: 6 * gi,
  diskBytes: 100 * gi,
  diskAvailableBytes: 90 * gi,
  inodes: 1_000,
  inodesFree: 900,
  maxPids: 1_000,
  pids: 10,
  swapBytes: 0,
  swapFreeBytes: 0,
  hugePages: new Map([
    [2 ** 21, gi],
    [gi, 0],
  ]),
};
const thresholds = parseThresholds({
  evictionHard: { 'memory.available': '1Gi', 'nodefs.available': '10%' },
  evictionSoft: {},
  evictionSoftGracePeriod: {},
  evictionMinimumReclaim: {},
  enforceNodeAllocatable: [],
});

describe("a node's resources", () => {
  it('are less for pods by reservations, hard thresholds and huge pages', () => {
    const reserved = parseReserved({ cpu: '500m', memory: '1Gi' }, { cpu: '250m', 'ephemeral-storage': '10Gi' });
    const input = { machine, thresholds, reserved, maxPods: 30, devices: new Map(), old: {} };
    expect(nodeResources(input)).toEqual({
      capacity: {
        cpu: '4',
        memory: '8Gi',
        'ephemeral-storage': '100Gi',
        pods: '30',
        'hugepages-2Mi': '1Gi',
        'hugepages-1Gi': '0',
      },
      allocatable: {
        cpu: '3250m',
        memory: '5Gi',
        'ephemeral-storage': String(80 * gi),
        pods: '30',
        'hugepages-2Mi': '1Gi',
        'hugepages-1Gi': '0',
      },
    });
  });

  it('keep what others have added and count the devices of plugins', () => {
    const { capacity, allocatable } = nodeResources({
      machine,
      thresholds,
      reserved: parseReserved(),
      maxPods: 30,
      devices: new Map([['example.com/gpu', { capacity: 4, allocatable: 3 }]]),
      old: { capacity: { 'example.com/dongle': '5', cpu: '1' } },
    });
    expect(capacity).toMatchObject({ 'example.com/dongle': '5', 'example.com/gpu': '4', cpu: '4' });
    expect(allocatable).toMatchObject({ 'example.com/dongle': '5', 'example.com/gpu': '3' });
  });
});
