import fs from 'node:fs';
import type { Pod } from '@naru/api';
import { formatTime, type Clock } from '@naru/foundation';
import type { cri } from '@naru/proto';
import type { CgroupUsage } from '../cgroups/cgroup-usage';
import type { PodCgroups } from '../cgroups/pod-cgroups';
import type { CriClient } from '../cri/cri-client';
import { labelNames } from '../cri/labels';
import { readMachine } from '../node/machine';
import { fileSystemStats, type PodDisks } from './fs-stats';
import { cgroupCpu, cgroupMemory, cpuStats, figure, memoryStats, networkStats, swapStats } from './from-cri';
import { Latest } from './latest';
import type { NodeUsage } from './node-usage';
import type { ContainerStats, FsStats, NodeStats, PodStats, Summary } from './summary-types';

export interface SummaryProviderDeps {
  runtime: CriClient;
  cgroups: PodCgroups;
  usage: CgroupUsage;
  nodeUsage: NodeUsage;
  disks: PodDisks;
  clock: Clock;
  rootDir: string;
  /** Pods of this node with their uids. */
  pods: () => readonly Pod[];
}

/** Measures the node, its pods and their containers. Source: pkg/kubelet/server/stats. */
export class SummaryProvider {
  private readonly latest: Latest<Summary>;
  private readonly startedAt: string;

  constructor(private readonly deps: SummaryProviderDeps) {
    this.startedAt = formatTime(deps.clock.now());
    this.latest = new Latest(deps.clock, () => this.measure());
  }

  /** At most a second old. */
  get(): Promise<Summary> {
    return this.latest.get();
  }

  /** Of now. */
  fresh(): Promise<Summary> {
    return this.latest.fresh();
  }

  /** The file system of images, by the runtime's word; undefined when it has none to name. */
  async imageFs(): Promise<{ directory: string; usedBytes: number | undefined } | undefined> {
    const { imageFilesystems } = await this.deps.runtime.imageFsInfo();
    const [first] = imageFilesystems;
    const directory = first?.fsId?.mountpoint;
    return directory && fs.existsSync(directory) ? { directory, usedBytes: figure(first.usedBytes) } : undefined;
  }

  /** Images are on another file system than the files of pods. */
  async dedicatedImageFs(): Promise<boolean> {
    const images = await this.imageFs();
    return images !== undefined && fs.statSync(images.directory).dev !== fs.statSync(this.deps.rootDir).dev;
  }

  /** The node alone: a dozen small files, however many pods there are. */
  async nodeStats(): Promise<NodeStats> {
    const { rootDir, clock } = this.deps;
    const [machine, nodeFs, images] = await Promise.all([
      readMachine(rootDir),
      fileSystemStats(rootDir, clock.now()),
      this.imageFs().catch(() => undefined),
    ]);
    const imageFs = images && {
      ...(await fileSystemStats(images.directory, clock.now())),
      ...(images.usedBytes === undefined ? {} : { usedBytes: images.usedBytes }),
    };
    return {
      ...this.deps.nodeUsage.read(machine),
      fs: nodeFs,
      runtime: { imageFs, containerFs: imageFs },
      rlimit: { time: nodeFs.time, maxpid: machine.maxPids, curproc: machine.pids },
    };
  }

  private async measure(): Promise<Summary> {
    const { runtime } = this.deps;
    const [sandboxes, node] = await Promise.all([
      runtime.listPodSandboxStats().catch(() => undefined),
      this.nodeStats(),
    ]);
    // With pod stats come those of the containers; a runtime without them has the containers' all the same.
    const containers =
      sandboxes?.flatMap(({ linux }) => linux?.containers ?? []) ?? (await runtime.listContainerStats());
    const pods: PodStats[] = [];
    for (const pod of this.deps.pods()) pods.push(await this.pod(pod, containers, sandboxes ?? [], node.fs));
    return { node, pods };
  }

  private async pod(
    pod: Pod,
    allContainers: readonly cri.ContainerStats[],
    sandboxes: readonly cri.PodSandboxStats[],
    nodeFs: FsStats,
  ): Promise<PodStats> {
    const { cgroups, usage, disks, clock } = this.deps;
    const { uid = '', name = '', namespace = '' } = pod.metadata ?? {};
    const sandbox = sandboxes.find(({ attributes }) => attributes?.labels[labelNames.podUid] === uid)?.linux;
    const time = formatTime(clock.now());
    const own = cgroups.pathOf(pod);
    // A runtime without pod stats leaves the reading to us.
    const figures = sandbox?.cpu ? undefined : usage.read(own);
    const containers = allContainers
      .filter(({ attributes, cpu }) => attributes?.labels[labelNames.podUid] === uid && cpu !== undefined)
      .map(stats => this.container(pod, stats, nodeFs));
    const volume = await disks.volumes(pod, nodeFs);
    const processes = figure(sandbox?.process?.processCount) ?? cgroups.processes(uid).length;
    return {
      podRef: { name, namespace, uid },
      startTime: pod.status?.startTime ?? this.startedAt,
      containers,
      cpu: figures ? cgroupCpu(figures, time) : cpuStats(sandbox?.cpu),
      memory: figures ? cgroupMemory(figures, time) : memoryStats(sandbox?.memory),
      network: networkStats(sandbox?.network),
      volume,
      'ephemeral-storage': ephemeral(pod, containers, volume, nodeFs),
      process_stats: { process_count: processes },
      swap: { time, swapUsageBytes: figures?.swapBytes ?? sumOf(containers, each => each.swap?.swapUsageBytes) },
    };
  }

  private container(pod: Pod, stats: cri.ContainerStats, nodeFs: FsStats): ContainerStats {
    const name = stats.attributes?.labels[labelNames.containerName] ?? stats.attributes?.metadata?.name ?? '';
    const all = [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])];
    const layer = stats.writableLayer;
    return {
      name,
      startTime: all.find(each => each.name === name)?.state?.running?.startedAt ?? this.startedAt,
      cpu: cpuStats(stats.cpu),
      memory: memoryStats(stats.memory),
      ...(layer
        ? { rootfs: { ...nodeFs, usedBytes: figure(layer.usedBytes), inodesUsed: figure(layer.inodesUsed) } }
        : {}),
      logs: this.deps.disks.logs(pod, name, nodeFs),
      swap: swapStats(stats.swap),
    };
  }
}

function sumOf<T>(items: readonly T[], read: (item: T) => number | undefined): number {
  return items.reduce((sum, item) => sum + (read(item) ?? 0), 0);
}

/** What a pod has on the node's disk as a whole: layers, logs and local volumes that are not in memory. */
function ephemeral(
  pod: Pod,
  containers: readonly ContainerStats[],
  volumes: readonly NonNullable<PodStats['volume']>[number][],
  nodeFs: FsStats,
): FsStats {
  const local = volumes.filter(({ name }) => {
    const volume = pod.spec?.volumes?.find(each => each.name === name);
    return (volume?.emptyDir && volume.emptyDir.medium !== 'Memory') || volume?.configMap || volume?.gitRepo;
  });
  const sum = (key: 'usedBytes' | 'inodesUsed'): number =>
    sumOf(containers, each => (each.rootfs?.[key] ?? 0) + (each.logs?.[key] ?? 0)) + sumOf(local, each => each[key]);
  return { ...nodeFs, usedBytes: sum('usedBytes'), inodesUsed: sum('inodesUsed') };
}
