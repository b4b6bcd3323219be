import { formatTime, type Clock } from '@naru/foundation';
import { containerCgroup } from '../cgroups/cgroup-driver';
import type { CgroupTree } from '../cgroups/cgroup-tree';
import type { CgroupUsage } from '../cgroups/cgroup-usage';
import type { ReportedPod } from '../metrics/cadvisor-metrics';
import { readMachine } from '../node/machine';
import { cgroupCpu, cgroupMemory } from './from-cri';
import { Latest } from './latest';
import type { NodeFigures, NodeUsage } from './node-usage';
import type { ContainerStats, PodStats } from './summary-types';

export interface CpuAndMemoryDeps {
  tree: CgroupTree;
  usage: CgroupUsage;
  nodeUsage: NodeUsage;
  rootDir: string;
  clock: Clock;
  pods: () => readonly ReportedPod[];
}

export interface CpuAndMemorySummary {
  node: NodeFigures;
  pods: Pick<PodStats, 'podRef' | 'startTime' | 'containers' | 'cpu' | 'memory' | 'swap'>[];
}

type Figures = Pick<ContainerStats, 'cpu' | 'memory' | 'swap'>;

/**
 * The part of the summary that metrics servers ask for every few seconds, from the cgroups themselves: neither the runtime nor a
 * disk is asked. Source: GetCPUAndMemoryStats of pkg/kubelet/server/stats.
 */
export class CpuAndMemory {
  private readonly latest: Latest<CpuAndMemorySummary>;
  private readonly startedAt: string;

  constructor(private readonly deps: CpuAndMemoryDeps) {
    this.startedAt = formatTime(deps.clock.now());
    this.latest = new Latest(deps.clock, () => this.measure());
  }

  /** At most a second old. */
  get(): Promise<CpuAndMemorySummary> {
    return this.latest.get();
  }

  private async measure(): Promise<CpuAndMemorySummary> {
    const { nodeUsage, rootDir, pods } = this.deps;
    const node = nodeUsage.read(await readMachine(rootDir));
    return { node, pods: pods().map(pod => this.pod(pod)) };
  }

  private pod({ pod, cgroup, containers }: ReportedPod): CpuAndMemorySummary['pods'][number] {
    const { uid = '', name = '', namespace = '' } = pod.metadata ?? {};
    const running = containers.filter(({ phase }) => phase === 'running');
    return {
      podRef: { name, namespace, uid },
      startTime: pod.status?.startTime ?? this.startedAt,
      containers: running.map(container => ({
        name: container.name,
        startTime: formatTime(container.startedAt),
        ...this.figures(containerCgroup(this.deps.tree, cgroup, container.id)),
      })),
      ...this.figures(cgroup),
    };
  }

  private figures(cgroup: string): Figures {
    const { usage, clock } = this.deps;
    const figures = usage.read(cgroup);
    if (!figures) return {};
    const time = formatTime(clock.now());
    return {
      cpu: cgroupCpu(figures, time),
      memory: cgroupMemory(figures, time),
      swap: { time, swapUsageBytes: figures.swapBytes },
    };
  }
}
