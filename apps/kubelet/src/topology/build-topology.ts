import path from 'node:path';
import { UsageError, type Clock, type Logger } from '@naru/foundation';
import { parseDuration } from '../config/duration';
import type { KubeletConfiguration } from '../config/kubelet-configuration';
import type { CriClient } from '../cri/cri-client';
import type { Reserved } from '../node/reserved';
import type { PodWorkers } from '../pods/pod-workers';
import { difference, formatCpuSet, parseCpuSet, type CpuSet } from './cpu-set';
import { CpuManager } from './cpu-manager';
import { CpuTopology } from './cpu-topology';
import type { HintProvider } from './hints';
import { ResourceAdmission } from './resource-admission';
import { SharedCpus } from './shared-cpus';
import { takeCpus } from './take-cpus';
import { TopologyManager, type TopologyPolicy } from './topology-manager';

/** More would mean too many combinations to look at; as upstream. */
const mostNodes = 8;

interface TopologyInput {
  configuration: KubeletConfiguration;
  reserved: Reserved;
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
  sharedCpus: SharedCpus;
  manager: TopologyManager;
  admission: ResourceAdmission;
  /** The machine's NUMA nodes. */
  nodes: readonly number[];
}

/** The managers of what is given to single containers. Throws UsageError when the configuration does not fit this machine. */
export function buildTopology(input: TopologyInput): Topology {
  const { configuration, reserved, rootDir, client, workers, devices, clock, logger } = input;
  const { cpuManagerPolicy, cpuManagerPolicyOptions: options, topologyManagerPolicy } = configuration;
  const topology = CpuTopology.read(input.system);
  if (topologyManagerPolicy !== 'none' && topology.nodes.length > mostNodes) {
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
  const periodMs = parseDuration(configuration.cpuManagerReconcilePeriod);
  const sharedCpus = new SharedCpus({ cpus, client, workers, clock, logger, periodMs });
  const manager = new TopologyManager({
    policy: topologyManagerPolicy as TopologyPolicy,
    scope: configuration.topologyManagerScope as 'container' | 'pod',
    nodes: topology.nodes,
    providers: [cpus, devices],
  });
  const admission = new ResourceAdmission({ cpus, topology: manager });
  return { cpus, sharedCpus, manager, admission, nodes: topology.nodes };
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
