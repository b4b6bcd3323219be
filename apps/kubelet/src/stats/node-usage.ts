import { formatTime, type Clock } from '@naru/foundation';
import type { CgroupUsage } from '../cgroups/cgroup-usage';
import type { MachineReading } from '../node/machine';
import { cgroupCpu, cgroupMemory } from './from-cri';
import type { ContainerStats, NodeStats } from './summary-types';

export interface NodeUsageDeps {
  usage: CgroupUsage;
  /** The cgroup above all pods. */
  kubepods: string;
  nodeName: string;
  clock: Clock;
}

export type NodeFigures = Pick<NodeStats, 'nodeName' | 'systemContainers' | 'startTime' | 'cpu' | 'memory' | 'swap'>;

/** What the node as a whole uses of its processors and memory. */
export class NodeUsage {
  private readonly startedAt: string;

  constructor(private readonly deps: NodeUsageDeps) {
    this.startedAt = formatTime(deps.clock.now());
  }

  read(machine: MachineReading): NodeFigures {
    const { usage, nodeName, clock } = this.deps;
    const time = formatTime(clock.now());
    const root = usage.read('/');
    return {
      nodeName,
      systemContainers: this.systemContainers(machine, time),
      startTime: this.startedAt,
      ...(root ? { cpu: cgroupCpu(root, time) } : {}),
      memory: {
        ...(root ? cgroupMemory(root, time) : { time }),
        // The kernel's own word on what is left, and on what is therefore used.
        availableBytes: machine.memoryAvailableBytes,
        workingSetBytes: machine.memoryBytes - machine.memoryAvailableBytes,
      },
      swap: {
        time,
        swapAvailableBytes: machine.swapFreeBytes,
        swapUsageBytes: machine.swapBytes - machine.swapFreeBytes,
      },
    };
  }

  private systemContainers(machine: MachineReading, time: string): ContainerStats[] {
    const { user, system } = process.cpuUsage();
    const { rss } = process.memoryUsage();
    const own: ContainerStats = {
      name: 'kubelet',
      startTime: this.startedAt,
      cpu: { time, usageCoreNanoSeconds: (user + system) * 1_000 },
      memory: { time, usageBytes: rss, workingSetBytes: rss, rssBytes: rss },
    };
    const figures = this.deps.usage.read(this.deps.kubepods);
    if (!figures) return [own];
    const memory = cgroupMemory(figures, time);
    memory.availableBytes ??= Math.max(0, machine.memoryBytes - figures.workingSetBytes);
    return [own, { name: 'pods', startTime: this.startedAt, cpu: cgroupCpu(figures, time), memory }];
  }
}
