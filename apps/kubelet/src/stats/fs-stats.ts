import fs from 'node:fs/promises';
import path from 'node:path';
import { formatTime, type Clock, type DiskUsages } from '@naru/foundation';
import type { Pod } from '@naru/api';
import type { CsiVolumeStats } from '../csi/volume-stats';
import type { PodPaths } from '../pods/pod-paths';
import type { FsStats, VolumeStats } from './summary-types';

/** A file system as it is. */
export async function fileSystemStats(directory: string, nowMs: number): Promise<FsStats> {
  const disk = await fs.statfs(directory);
  return {
    time: formatTime(nowMs),
    availableBytes: disk.bavail * disk.bsize,
    capacityBytes: disk.blocks * disk.bsize,
    usedBytes: (disk.blocks - disk.bfree) * disk.bsize,
    inodesFree: disk.ffree,
    inodes: disk.files,
    inodesUsed: disk.files - disk.ffree,
  };
}

export interface PodDisksDeps {
  paths: PodPaths;
  usages: DiskUsages;
  csi: Pick<CsiVolumeStats, 'get'>;
  clock: Clock;
  /** The volume and the claim of a pod behind which there is a persistent volume of that name. */
  behind: (uid: string, persistentVolume: string) => { name: string; claim: string } | undefined;
}

/** Kinds that are told of by their whole file system, which is not the pod's alone. */
const persistent = new Set(['kubernetes.io~local-volume', 'kubernetes.io~nfs']);

/** Measures what pods have on the node's disk: volumes, logs, and the files that are made for them. */
export class PodDisks {
  constructor(private readonly deps: PodDisksDeps) {}

  /**
   * Volumes that are the pod's own directories; what is mounted there has a file system of its own, which answers for it,
   * or a CSI driver that does. Persistent volumes are told of by the names that the pod has for them.
   */
  async volumes(pod: Pod, node: FsStats): Promise<VolumeStats[]> {
    const { paths } = this.deps;
    const uid = pod.metadata?.uid ?? '';
    const stats: VolumeStats[] = [];
    for (const base of [paths.pod(uid), paths.memoryPod(uid)]) {
      for (const kind of await list(path.join(base, 'volumes'))) {
        for (const name of await list(path.join(base, 'volumes', kind))) {
          const directory = path.join(base, 'volumes', kind, name);
          const figures = await this.volume(kind, directory, node);
          if (!figures) continue;
          const claimed = this.deps.behind(uid, name);
          const pvcRef = claimed && { name: claimed.claim, namespace: pod.metadata?.namespace ?? '' };
          stats.push({ ...figures, name: claimed?.name ?? name, ...(pvcRef ? { pvcRef } : {}) });
        }
      }
    }
    return stats;
  }

  private async volume(kind: string, directory: string, node: FsStats): Promise<FsStats | undefined> {
    if (kind === 'kubernetes.io~csi') return this.deps.csi.get(directory);
    const isOther = persistent.has(kind) || (await isMounted(directory));
    if (!isOther) return this.directory(directory, node);
    return fileSystemStats(directory, this.deps.clock.now()).catch(() => undefined);
  }

  logs(pod: Pod, container: string, node: FsStats): FsStats | undefined {
    return this.directory(path.join(this.deps.paths.logs(pod), container), node);
  }

  /** Measures a pod's own directories anew, so that the next reading is of now. */
  async renew(pod: Pod): Promise<void> {
    const { paths, usages } = this.deps;
    const uid = pod.metadata?.uid ?? '';
    const containers = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
    const directories = containers.map(({ name }) => path.join(paths.logs(pod), name));
    for (const { name, emptyDir } of pod.spec?.volumes ?? []) {
      if (emptyDir && emptyDir.medium !== 'Memory') directories.push(paths.volume(uid, 'empty-dir', name, false));
    }
    await Promise.all(directories.map(directory => usages.renew(directory)));
  }

  /** What lies below a directory of the node's own file system. */
  private directory(directory: string, node: FsStats): FsStats | undefined {
    const usage = this.deps.usages.get(directory);
    if (!usage) return undefined;
    return { ...node, time: formatTime(usage.atMs), usedBytes: usage.bytes, inodesUsed: usage.inodes };
  }
}

function list(directory: string): Promise<string[]> {
  return fs.readdir(directory).catch(() => []);
}

async function isMounted(directory: string): Promise<boolean> {
  const [own, parent] = await Promise.all([fs.stat(directory), fs.stat(path.dirname(directory))]).catch(() => []);
  return own !== undefined && parent !== undefined && own.dev !== parent.dev;
}
