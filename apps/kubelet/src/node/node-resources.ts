import { canonicalQuantity, type NodeStatus } from '@naru/api';
import type { KubeletConfiguration } from '../config/kubelet-configuration';
import { hardReserve, type Threshold } from '../eviction/thresholds';
import { hugePageName } from './huge-pages';
import type { MachineReading } from './machine';
import type { Reserved } from './reserved';

export interface NodeResourcesInput {
  machine: MachineReading;
  thresholds: readonly Threshold[];
  reserved: Reserved;
  maxPods: number;
  /** Extended resources of device plugins: name → all devices, and the healthy ones. */
  devices: ReadonlyMap<string, { capacity: number; allocatable: number }>;
  old: NodeStatus;
}

/** As upstream prints them: in the largest unit that leaves no rest, so that the status does not change by a form only. */
const bytesQuantity = (bytes: number): string =>
  bytes < 1024 ? '0' : canonicalQuantity(`${Math.floor(bytes / 1024)}Ki`);

/** What others have put into the capacity, such as example.com/dongle by a patch of the status: it stays. */
function foreign(list: Record<string, string> | undefined): Record<string, string> {
  return Object.fromEntries(Object.entries(list ?? {}).filter(([name]) => name.includes('/')));
}

/** Capacity, and what of it pods may have: less reservations, hard eviction thresholds and huge pages. */
export function nodeResources(input: NodeResourcesInput): Pick<NodeStatus, 'capacity' | 'allocatable'> {
  const { machine, thresholds, reserved, maxPods, devices, old } = input;
  const millis = Math.max(0, machine.cores * 1000 - reserved.cpu);
  const huge = [...machine.hugePages];
  const hugeBytes = huge.reduce((sum, [, bytes]) => sum + bytes, 0);
  const memory =
    machine.memoryBytes -
    hugeBytes -
    reserved.memory -
    hardReserve(thresholds, 'memory.available', machine.memoryBytes);
  const disk = machine.diskBytes - reserved.storage - hardReserve(thresholds, 'nodefs.available', machine.diskBytes);
  const pages = Object.fromEntries(huge.map(([size, bytes]) => [hugePageName(size), bytesQuantity(bytes)]));
  const theirs = foreign(old.capacity);
  const of = (key: 'capacity' | 'allocatable'): Record<string, string> =>
    Object.fromEntries([...devices].map(([name, counts]) => [name, String(counts[key])]));
  return {
    capacity: {
      ...theirs,
      cpu: String(machine.cores),
      memory: bytesQuantity(machine.memoryBytes),
      'ephemeral-storage': bytesQuantity(machine.diskBytes),
      pods: String(maxPods),
      ...pages,
      ...of('capacity'),
    },
    allocatable: {
      ...theirs,
      cpu: millis % 1000 === 0 ? String(millis / 1000) : `${millis}m`,
      memory: bytesQuantity(Math.max(0, memory)),
      'ephemeral-storage': String(Math.floor(Math.max(0, disk))),
      pods: String(maxPods),
      ...pages,
      ...of('allocatable'),
    },
  };
}

/** As many as maxPods says, or fewer on a machine of few processors. */
export function mostPods(
  { maxPods, podsPerCore }: Pick<KubeletConfiguration, 'maxPods' | 'podsPerCore'>,
  cores: number,
): number {
  return podsPerCore > 0 ? Math.min(maxPods, podsPerCore * cores) : maxPods;
}
