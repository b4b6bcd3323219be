import fs from 'node:fs';
import path from 'node:path';
import { listMounts } from './mounts';

const cgroup2Magic = 0x63677270;

/** Where the control groups of this node are mounted. */
export interface Cgroups {
  /** 2 for the unified hierarchy; 1 also on hybrid hosts, whose controllers are in version 1. */
  version: 1 | 2;
  /** True when version 1 hosts have a version 2 mount beside: crun 1.8 refuses that. */
  hybridMount: string | undefined;
  /** The directory of a cgroup; undefined when the controller is not there. */
  directory(controller: string, cgroup: string): string | undefined;
  /** Every directory of a cgroup: one in version 2, one for each hierarchy in version 1. */
  directories(cgroup: string): string[];
}

/** A directory is in a version 2 hierarchy. */
export function isUnified(directory: string): boolean {
  return fs.statfsSync(directory).type === cgroup2Magic;
}

/** Looks at /sys/fs/cgroup. */
export function detectCgroups(root = '/sys/fs/cgroup'): Cgroups {
  if (isUnified(root)) {
    const directory = (_: string, cgroup: string): string => path.join(root, cgroup);
    return { version: 2, hybridMount: undefined, directory, directories: cgroup => [directory('', cgroup)] };
  }
  const hierarchies = new Map<string, string>();
  const mounts = listMounts().filter(mount => mount.path.startsWith(`${root}/`));
  for (const mount of mounts.filter(entry => entry.type === 'cgroup')) {
    for (const option of mount.superOptions)
      if (option !== 'rw' && option !== 'ro') hierarchies.set(option, mount.path);
  }
  return {
    version: 1,
    hybridMount: mounts.find(mount => mount.type === 'cgroup2')?.path,
    directory(controller, cgroup) {
      const mount = hierarchies.get(controller);
      return mount === undefined ? undefined : path.join(mount, cgroup);
    },
    directories: cgroup => [...new Set(hierarchies.values())].map(mount => path.join(mount, cgroup)),
  };
}

/** A cgroup file's content; undefined when it is absent. */
export function readCgroupFile(directory: string | undefined, file: string): string | undefined {
  if (directory === undefined) return undefined;
  try {
    return fs.readFileSync(path.join(directory, file), 'utf8');
  } catch {
    return undefined;
  }
}

/** The value of `key` in a file of `key value` lines. */
export function flatKey(content: string | undefined, key: string): bigint | undefined {
  const line = content?.split('\n').find(entry => entry.startsWith(`${key} `));
  return line === undefined ? undefined : BigInt(line.slice(key.length + 1).trim());
}

/** How many processes of a cgroup the kernel has killed for lack of memory. */
export function oomKills(cgroups: Cgroups, cgroup: string): bigint {
  const directory = cgroups.directory('memory', cgroup);
  const file = cgroups.version === 2 ? 'memory.events' : 'memory.oom_control';
  return flatKey(readCgroupFile(directory, file), 'oom_kill') ?? 0n;
}

/** Every process in a cgroup. */
export function processesIn(cgroups: Cgroups, cgroup: string): number[] {
  const controller = cgroups.version === 2 ? '' : 'pids';
  const directory = cgroups.directory(controller, cgroup) ?? cgroups.directories(cgroup)[0];
  const content = readCgroupFile(directory, 'cgroup.procs') ?? '';
  return content.split('\n').filter(Boolean).map(Number);
}

/** Removes an empty cgroup with its empty children; one that is in use stays. */
export function removeCgroup(cgroups: Cgroups, cgroup: string): void {
  if (path.posix.resolve('/', cgroup) === '/') return; // never the whole hierarchy
  const remove = (directory: string): void => {
    for (const entry of fs.readdirSync(directory, { withFileTypes: true })) {
      if (entry.isDirectory()) remove(path.join(directory, entry.name));
    }
    fs.rmdirSync(directory);
  };
  for (const directory of cgroups.directories(cgroup)) {
    try {
      remove(directory);
    } catch {
      // Absent, or still in use: the next removal gets it.
    }
  }
}
