import fs from 'node:fs';
import path from 'node:path';

/** Where the kernel's cgroup hierarchies are mounted. */
export interface CgroupMounts {
  version: 1 | 2;
  /** Controller → mount point; in version 2 all are the same. */
  controllers: Map<string, string>;
}

const v2Controllers = ['cpu', 'cpuset', 'memory', 'pids', 'io', 'hugetlb'];

/** Reads /proc/self/mountinfo. A hybrid machine counts as version 1, whose hierarchies hold the controllers there. */
export function findCgroups(mountinfo: string): CgroupMounts {
  const controllers = new Map<string, string>();
  let unified: string | undefined;
  for (const line of mountinfo.split('\n')) {
    const [head, tail] = line.split(' - ');
    if (head === undefined || tail === undefined) continue;
    const target = head.split(' ')[4] ?? '';
    const [type, , options = ''] = tail.split(' ');
    if (type === 'cgroup2') unified ??= target;
    if (type !== 'cgroup') continue;
    for (const option of options.split(',')) {
      if (!['rw', 'ro', 'xattr', 'release_agent'].includes(option) && !option.includes('=')) {
        controllers.set(option, target);
      }
    }
    if (options.includes('name=systemd')) controllers.set('name=systemd', target);
  }
  if (controllers.has('cpu') || controllers.has('memory') || unified === undefined) return { version: 1, controllers };
  return { version: 2, controllers: new Map(v2Controllers.map(name => [name, unified])) };
}

export interface CgroupValues {
  cpuShares?: number;
  /** 0: no limit. */
  cpuQuotaUs?: number;
  cpuPeriodUs?: number;
  /** 0: no limit. */
  memoryLimitBytes?: number;
  /** 0: no limit. */
  maxPids?: number;
  hugePages?: readonly { pageBytes: number; limitBytes: number }[];
}

const pageUnits = ['B', 'KB', 'MB', 'GB'];

/** A size of huge pages as the cgroup's files spell it: 2MB. */
export function pageSizeName(bytes: number): string {
  const unit = Math.min(pageUnits.length - 1, Math.trunc(Math.log2(bytes) / 10));
  return `${bytes / 1024 ** unit}${pageUnits[unit]}`;
}

/** Source: KEP-2254's formula. */
export function sharesToWeight(shares: number): number {
  return Math.trunc(1 + ((Math.min(Math.max(shares, 2), 262_144) - 2) * 9999) / 262_142);
}

/** Files to write, by controller. */
export function cgroupFiles(
  version: 1 | 2,
  values: CgroupValues,
): { controller: string; file: string; text: string }[] {
  const files: { controller: string; file: string; text: string }[] = [];
  const { cpuShares, cpuQuotaUs, cpuPeriodUs = 100_000, memoryLimitBytes, maxPids, hugePages = [] } = values;
  const put = (controller: string, v1: string, v2: string, text1: string, text2 = text1): void =>
    void files.push({ controller, file: version === 1 ? v1 : v2, text: version === 1 ? text1 : text2 });
  if (cpuShares !== undefined) {
    put('cpu', 'cpu.shares', 'cpu.weight', String(cpuShares), String(sharesToWeight(cpuShares)));
  }
  if (cpuQuotaUs !== undefined) {
    if (version === 1) put('cpu', 'cpu.cfs_period_us', '', String(cpuPeriodUs));
    const quota = cpuQuotaUs === 0 ? 'max' : String(cpuQuotaUs);
    put('cpu', 'cpu.cfs_quota_us', 'cpu.max', cpuQuotaUs === 0 ? '-1' : quota, `${quota} ${cpuPeriodUs}`);
  }
  if (memoryLimitBytes !== undefined) {
    const none = memoryLimitBytes === 0;
    const text = String(memoryLimitBytes);
    put('memory', 'memory.limit_in_bytes', 'memory.max', none ? '-1' : text, none ? 'max' : text);
  }
  if (maxPids !== undefined) put('pids', 'pids.max', 'pids.max', maxPids === 0 ? 'max' : String(maxPids));
  for (const { pageBytes, limitBytes } of hugePages) {
    const name = `hugetlb.${pageSizeName(pageBytes)}`;
    put('hugetlb', `${name}.limit_in_bytes`, `${name}.max`, String(limitBytes));
  }
  return files;
}

/** Makes, limits and removes cgroups in every hierarchy there is. The calls are short and synchronous. */
export class CgroupTree {
  constructor(readonly mounts: CgroupMounts) {}

  static ofThisMachine(): CgroupTree {
    return new CgroupTree(findCgroups(fs.readFileSync('/proc/self/mountinfo', 'utf8')));
  }

  private directories(cgroup: string): Set<string> {
    return new Set([...this.mounts.controllers.values()].map(mount => path.join(mount, cgroup)));
  }

  /** Creates the cgroup and its parents; throws when a hierarchy refuses. */
  create(cgroup: string, values: CgroupValues): void {
    if (this.mounts.version === 2) this.createV2(cgroup);
    else for (const directory of this.directories(cgroup)) this.createV1(directory);
    this.write(cgroup, values);
  }

  write(cgroup: string, values: CgroupValues): void {
    for (const { controller, file, text } of cgroupFiles(this.mounts.version, values)) {
      const mount = this.mounts.controllers.get(controller);
      if (!mount) continue;
      const target = path.join(mount, cgroup, file);
      if (fs.existsSync(target)) fs.writeFileSync(target, text);
    }
  }

  exists(cgroup: string): boolean {
    return [...this.directories(cgroup)].some(directory => fs.existsSync(directory));
  }

  /** Removes the cgroup with its empty children. Throws when a process still lives in it. */
  remove(cgroup: string): void {
    for (const directory of this.directories(cgroup)) removeTree(directory);
  }

  /** Process ids in the cgroup and below it, in any hierarchy. */
  processes(cgroup: string): number[] {
    const pids = new Set<number>();
    for (const directory of this.directories(cgroup)) collectPids(directory, pids);
    return [...pids];
  }

  private createV1(directory: string): void {
    const missing: string[] = [];
    for (let at = directory; !fs.existsSync(at); at = path.dirname(at)) missing.unshift(at);
    for (const each of missing) {
      fs.mkdirSync(each);
      // A new cpuset takes nothing over, and a process could not enter an empty one.
      for (const file of ['cpuset.cpus', 'cpuset.mems']) {
        const own = path.join(each, file);
        if (!fs.existsSync(own) || fs.readFileSync(own, 'utf8').trim() !== '') continue;
        fs.writeFileSync(own, fs.readFileSync(path.join(path.dirname(each), file), 'utf8'));
      }
    }
  }

  private createV2(cgroup: string): void {
    const [mount = ''] = this.mounts.controllers.values();
    let at = mount;
    for (const part of cgroup.split('/').filter(Boolean)) {
      enableControllers(at);
      at = path.join(at, part);
      if (!fs.existsSync(at)) fs.mkdirSync(at);
    }
    enableControllers(at);
  }
}

function enableControllers(directory: string): void {
  const available = fs.readFileSync(path.join(directory, 'cgroup.controllers'), 'utf8').trim().split(' ');
  for (const name of v2Controllers.filter(each => available.includes(each))) {
    try {
      fs.writeFileSync(path.join(directory, 'cgroup.subtree_control'), `+${name}`);
    } catch {
      // A cgroup that holds processes itself cannot hand controllers on; whoever set it up decided so.
    }
  }
}

function removeTree(directory: string): void {
  if (!fs.existsSync(directory)) return;
  for (const entry of fs.readdirSync(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) removeTree(path.join(directory, entry.name));
  }
  fs.rmdirSync(directory);
}

function collectPids(directory: string, into: Set<number>): void {
  if (!fs.existsSync(directory)) return;
  for (const line of fs.readFileSync(path.join(directory, 'cgroup.procs'), 'utf8').split('\n')) {
    if (line !== '') into.add(Number(line));
  }
  for (const entry of fs.readdirSync(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) collectPids(path.join(directory, entry.name), into);
  }
}
