/** stats.k8s.io/v1alpha1: what /stats/summary answers with. Times are RFC 3339. Source: kubernetes/kubelet pkg/apis/stats/v1alpha1. */
export interface CpuStats {
  time: string;
  usageNanoCores?: number | undefined;
  usageCoreNanoSeconds?: number | undefined;
}

export interface MemoryStats {
  time: string;
  availableBytes?: number | undefined;
  usageBytes?: number | undefined;
  workingSetBytes?: number | undefined;
  rssBytes?: number | undefined;
  pageFaults?: number | undefined;
  majorPageFaults?: number | undefined;
}

export interface FsStats {
  time: string;
  availableBytes?: number | undefined;
  capacityBytes?: number | undefined;
  usedBytes?: number | undefined;
  inodesFree?: number | undefined;
  inodes?: number | undefined;
  inodesUsed?: number | undefined;
}

export interface InterfaceStats {
  name: string;
  rxBytes?: number | undefined;
  rxErrors?: number | undefined;
  txBytes?: number | undefined;
  txErrors?: number | undefined;
}

export interface NetworkStats extends InterfaceStats {
  time: string;
  interfaces: InterfaceStats[];
}

export interface SwapStats {
  time: string;
  swapAvailableBytes?: number | undefined;
  swapUsageBytes?: number | undefined;
}

export interface ContainerStats {
  name: string;
  startTime: string;
  cpu?: CpuStats | undefined;
  memory?: MemoryStats | undefined;
  rootfs?: FsStats | undefined;
  logs?: FsStats | undefined;
  swap?: SwapStats | undefined;
}

export interface VolumeStats extends FsStats {
  name: string;
  pvcRef?: { name: string; namespace: string } | undefined;
}

export interface PodStats {
  podRef: { name: string; namespace: string; uid: string };
  startTime: string;
  containers: ContainerStats[];
  cpu?: CpuStats | undefined;
  memory?: MemoryStats | undefined;
  network?: NetworkStats | undefined;
  volume?: VolumeStats[] | undefined;
  'ephemeral-storage'?: FsStats | undefined;
  process_stats?: { process_count: number } | undefined;
  swap?: SwapStats | undefined;
}

export interface NodeStats {
  nodeName: string;
  systemContainers: ContainerStats[];
  startTime: string;
  cpu?: CpuStats | undefined;
  memory?: MemoryStats | undefined;
  network?: NetworkStats | undefined;
  fs: FsStats;
  runtime: { imageFs?: FsStats | undefined; containerFs?: FsStats | undefined };
  rlimit: { time: string; maxpid: number; curproc: number };
  swap?: SwapStats | undefined;
}

export interface Summary {
  node: NodeStats;
  pods: PodStats[];
}
