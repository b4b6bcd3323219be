import path from 'node:path';
import { UsageError, type Clock, type Logger } from '@naru/foundation';
import { parseDuration } from '../config/duration';
import type { KubeletConfiguration } from '../config/kubelet-configuration';
import type { CriClient } from '../cri/cri-client';
import { hardReserve, type Threshold } from '../eviction/thresholds';
import type { MachineReading } from '../node/machine';
import type { Reserved } from '../node/reserved';
import type { PodWorkers } from '../pods/pod-workers';
import { difference, formatCpuSet, parseCpuSet, type CpuSet } from './cpu-set';
import { CpuManager } from './cpu-manager';
import { CpuTopology } from './cpu-topology';
import type { HintProvider } from './hints';
import { MemoryManager } from './memory-manager';
import { readNumaMemory, type NumaMemory } from './numa-memory';
import { reservedByNode } from './reserved-memory';
import { ResourceAdmission } from './resource-admission';
import { SharedCpus } from './shared-cpus';
import { takeCpus } from './take-cpus';
import { TopologyManager, type TopologyPolicy } from './topology-manager';

/** More would mean too many combinations to look at; as upstream. */
const mostNodes = 8;

interface TopologyInput {
  configuration: KubeletConfiguration;
  reserved: Reserved;
  machine: MachineReading;
  thresholds: readonly Threshold[];
  rootDir: string;
  client: CriClient;
  workers: () => PodWorkers;
  /** Devices, whose NUMA nodes their plugins tell. */
  devices: HintProvider;
  clock: Clock;
  logger: Logger;
  /** Below /sys/devices/system unless a test has another. */
  system?: string | undefined;
}

export interface Topology {
  cpus: CpuManager;
  memory: MemoryManager;
  sharedCpus: SharedCpus;
  manager: TopologyManager;
  admission: ResourceAdmission;
  /** The machine's NUMA nodes. */
  nodes: readonly number[];
}

/** The managers of what is given to single containers. Throws UsageError when the configuration does not fit this machine. */
export function buildTopology(input: TopologyInput): Topology {
  const { configuration, reserved, rootDir, client, workers, devices, clock, logger } = input;
  const { cpuManagerPolicy, cpuManagerPolicyOptions: options } = configuration;
  const { memoryManagerPolicy, topologyManagerPolicy } = configuration;
  const topology = CpuTopology.read(input.system);
  const numaMemory = readNumaMemory(input.machine, input.system);
  const nodes = [...new Set([...topology.nodes, ...numaMemory.map(({ id }) => id)])].sort((a, b) => a - b);
  if (topologyManagerPolicy !== 'none' && nodes.length > mostNodes) {
    throw new UsageError(`unsupported on machines with more than ${mostNodes} NUMA Nodes`);
  }
  const cpus: CpuManager = new CpuManager({
    policy: cpuManagerPolicy as 'none' | 'static',
    topology,
    reserved: cpuManagerPolicy === 'static' ? reservedCpus(configuration, reserved, topology) : new Set(),
    options: {
      fullCoresOnly: options['full-pcpus-only'] === 'true',
      strictReservation: options['strict-cpu-reservation'] === 'true',
      acrossCores: options['distribute-cpus-across-cores'] === 'true',
    },
    file: path.join(rootDir, 'cpu_manager_state'),
    onChange: () => sharedCpus.poke(),
  });
  const memory = new MemoryManager({
    policy: memoryManagerPolicy as 'None' | 'Static',
    memory: numaMemory,
    reserved: memoryManagerPolicy === 'Static' ? reservedMemory(input, numaMemory) : new Map(),
    file: path.join(rootDir, 'memory_manager_state'),
  });
  const periodMs = parseDuration(configuration.cpuManagerReconcilePeriod);
  const sharedCpus = new SharedCpus({ cpus, client, workers, clock, logger, periodMs });
  const manager = new TopologyManager({
    policy: topologyManagerPolicy as TopologyPolicy,
    scope: configuration.topologyManagerScope as 'container' | 'pod',
    nodes,
    providers: [cpus, memory, devices],
  });
  const admission = new ResourceAdmission({ cpus, memory, topology: manager });
  return { cpus, memory, sharedCpus, manager, admission, nodes };
}

/** What the configuration keeps from pods on each NUMA node. */
function reservedMemory(
  { configuration, reserved, thresholds, machine }: TopologyInput,
  memory: readonly NumaMemory[],
): ReturnType<typeof reservedByNode> {
  const expected = reserved.memory + hardReserve(thresholds, 'memory.available', machine.memoryBytes);
  try {
    return reservedByNode(configuration.reservedMemory, memory, expected);
  } catch (cause) {
    throw new UsageError((cause as Error).message, { cause });
  }
}

/** Those of reservedSystemCPUs, or as many as systemReserved and kubeReserved are, rounded up. */
function reservedCpus(configuration: KubeletConfiguration, reserved: Reserved, topology: CpuTopology): CpuSet {
  const named = parseCpuSet(configuration.reservedSystemCPUs);
  const absent = difference(named, topology.all);
  if (absent.size > 0) throw new UsageError(`reservedSystemCPUs: this machine has no CPU ${formatCpuSet(absent)}`);
  if (named.size > 0) return named;
  if (reserved.cpu === 0) {
    throw new UsageError(
      '[cpumanager] the static policy requires systemreserved.cpu + kubereserved.cpu to be greater than zero',
    );
  }
  return takeCpus(topology, topology.all, Math.ceil(reserved.cpu / 1_000));
}
