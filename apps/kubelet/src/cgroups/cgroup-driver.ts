import fs from 'node:fs';
import path from 'node:path';
import type { CgroupTree, CgroupValues } from './cgroup-tree';

export type CgroupDriverName = 'cgroupfs' | 'systemd';

/** Who makes the cgroups of pods. A cgroup is its path below the hierarchy's root. */
export interface CgroupDriver {
  /** The path of a cgroup by the names from the root to it: `kubepods, burstable, podUID`. */
  path(names: readonly string[]): string;
  /** Makes it with its parents; when it is there its values change. */
  create(cgroup: string, values: CgroupValues): Promise<void>;
  /** Removes it with its empty children; one that is not there is none. Throws when a process lives on in it. */
  remove(cgroup: string): Promise<void>;
}

/** The kubelet makes directories and writes their files itself. */
export class CgroupfsDriver implements CgroupDriver {
  constructor(private readonly tree: CgroupTree) {}

  path(names: readonly string[]): string {
    return path.posix.join('/', ...names);
  }

  create(cgroup: string, values: CgroupValues): Promise<void> {
    return Promise.resolve().then(() => this.tree.create(cgroup, values));
  }

  remove(cgroup: string): Promise<void> {
    return Promise.resolve().then(() => this.tree.remove(cgroup));
  }
}

/** Where a runtime has put a container of a pod: by its id, or as a scope of systemd with the runtime's own prefix. */
export function containerCgroup(tree: CgroupTree, pod: string, id: string): string {
  if (!pod.endsWith('.slice')) return path.posix.join(pod, id);
  const directory = path.join(tree.mounts.controllers.get('memory') ?? '', pod);
  const scopes = fs.existsSync(directory) ? fs.readdirSync(directory) : [];
  return path.posix.join(pod, scopes.find(name => name.endsWith(`-${id}.scope`)) ?? id);
}
