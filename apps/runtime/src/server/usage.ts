import { cri } from '@naru/proto';
import { DiskUsages, type Clock } from '@naru/foundation';
import type { ContainerRecord } from '../containers/container-record';
import { containerState, type Containers } from '../containers/containers';
import { CgroupStats, networkUsage } from '../containers/stats';
import type { Cgroups } from '../process/cgroups';
import type { SandboxRecord } from '../sandboxes/sandbox-record';
import type { Sandboxes } from '../sandboxes/sandboxes';

/** Resource usage of containers and sandboxes, as the kubelet reports it further. */
export class Usage {
  readonly #cgroups: CgroupStats;
  readonly #disks: DiskUsages;

  constructor(
    private readonly deps: {
      cgroups: Cgroups;
      containers: Containers;
      sandboxes: Sandboxes;
      root: string;
      clock: Clock;
    },
  ) {
    this.#cgroups = new CgroupStats(deps);
    this.#disks = new DiskUsages(deps.clock);
  }

  #running(record: ContainerRecord): boolean {
    return containerState(record) === cri.ContainerState.CONTAINER_RUNNING;
  }

  container(record: ContainerRecord): cri.ContainerStats {
    const usage = this.#running(record) ? this.#cgroups.usage(record.cgroup) : undefined;
    const disk = this.#disks.get(this.deps.containers.snapshot(record.id).upper);
    const { metadata, labels, annotations } = record.config;
    return {
      attributes: { id: record.id, metadata, labels, annotations },
      cpu: usage?.cpu,
      memory: usage?.memory,
      swap: usage?.swap,
      io: undefined,
      writableLayer: disk && {
        timestamp: BigInt(disk.atMs) * 1_000_000n,
        fsId: { mountpoint: this.deps.root },
        usedBytes: { value: BigInt(disk.bytes) },
        inodesUsed: { value: BigInt(disk.inodes) },
      },
    };
  }

  runningContainers(): ContainerRecord[] {
    return this.deps.containers.list().filter(record => this.#running(record));
  }

  sandbox(record: SandboxRecord): cri.PodSandboxStats {
    const usage = this.#cgroups.usage(this.deps.sandboxes.cgroupParent(record));
    const containers = this.deps.containers.inSandbox(record.id).filter(container => this.#running(container));
    const pid = record.pause?.pid ?? containers.find(container => container.main)?.main?.pid;
    const timestamp = BigInt(this.deps.clock.now()) * 1_000_000n;
    const { metadata, labels, annotations } = record.config;
    return {
      attributes: { id: record.id, metadata, labels, annotations },
      linux: {
        cpu: usage?.cpu,
        memory: usage?.memory,
        network: pid === undefined || record.ips.length === 0 ? undefined : networkUsage(pid, timestamp),
        process: usage && { timestamp, processCount: { value: usage.processes } },
        containers: containers.map(container => this.container(container)),
        io: undefined,
      },
    };
  }
}
