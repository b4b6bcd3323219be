import fs from 'node:fs';
import path from 'node:path';
import { BoundedMap, type Clock } from '@naru/foundation';
import type { CgroupTree } from './cgroup-tree';

/** What the processes of a cgroup and below use. */
export interface CgroupFigures {
  cpuNanoSeconds: number;
  /** Undefined until two readings make a rate. */
  cpuNanoCores: number | undefined;
  memoryBytes: number;
  workingSetBytes: number;
  rssBytes: number;
  pageFaults: number;
  majorPageFaults: number;
  /** Undefined: no limit. */
  memoryLimitBytes: number | undefined;
  swapBytes: number;
}

/** What only /metrics/cadvisor asks for. */
export interface CgroupDetails {
  userNanoSeconds: number;
  systemNanoSeconds: number;
  periods: number;
  throttledPeriods: number;
  throttledNanoSeconds: number;
  cacheBytes: number;
  /** NaN where the kernel does not tell. */
  peakBytes: number;
  limitHits: number;
  oomKills: number;
  processes: number;
}

/** Clock ticks a second, in which version 1 counts user and system time. */
const ticksPerSecond = 100;
/** Rates over a shorter time would be noise. */
const minimumWindowMs = 1_000;
const maxSamples = 1_024;
/** Version 1 writes "none" as a very large number. */
const unlimitedBytes = 2 ** 60;

/** Reads figures of cgroups that the runtime does not report: the node's, all pods' together, and pods' of runtimes without pod stats. */
export class CgroupUsage {
  private readonly samples = new BoundedMap<string, { atMs: number; total: number; rate: number | undefined }>(
    maxSamples,
  );

  constructor(private readonly deps: { tree: CgroupTree; clock: Clock }) {}

  /** Undefined when the cgroup is gone, or has no figures, as the root of version 2. */
  read(cgroup: string): CgroupFigures | undefined {
    const two = this.deps.tree.mounts.version === 2;
    const cpuText = two
      ? this.file('cpu', cgroup, 'cpu.stat')
      : (this.file('cpuacct', cgroup, 'cpuacct.usage') ?? undefined);
    if (cpuText === undefined) return undefined;
    const cpuNanoSeconds = two ? key(cpuText, 'usage_usec') * 1_000 : Number(cpuText);
    const usage = this.file('memory', cgroup, two ? 'memory.current' : 'memory.usage_in_bytes');
    if (usage === undefined) return undefined;
    const stat = this.file('memory', cgroup, 'memory.stat') ?? '';
    const limit = Number(this.file('memory', cgroup, two ? 'memory.max' : 'memory.limit_in_bytes'));
    const memoryBytes = Number(usage);
    return {
      cpuNanoSeconds,
      cpuNanoCores: this.rate(cgroup, cpuNanoSeconds),
      memoryBytes,
      workingSetBytes: Math.max(0, memoryBytes - key(stat, two ? 'inactive_file' : 'total_inactive_file')),
      rssBytes: key(stat, two ? 'anon' : 'total_rss'),
      pageFaults: key(stat, two ? 'pgfault' : 'total_pgfault'),
      majorPageFaults: key(stat, two ? 'pgmajfault' : 'total_pgmajfault'),
      memoryLimitBytes: Number.isFinite(limit) && limit > 0 && limit < unlimitedBytes ? limit : undefined,
      swapBytes: two ? Number(this.file('memory', cgroup, 'memory.swap.current') ?? 0) : key(stat, 'total_swap'),
    };
  }

  /** Everything there is to know; costs twice as many files. */
  details(cgroup: string): (CgroupFigures & CgroupDetails) | undefined {
    const figures = this.read(cgroup);
    if (!figures) return undefined;
    const two = this.deps.tree.mounts.version === 2;
    const cpu = this.file('cpu', cgroup, 'cpu.stat') ?? '';
    const times = two ? cpu : (this.file('cpuacct', cgroup, 'cpuacct.stat') ?? '');
    const tick = 1e9 / ticksPerSecond;
    const events = this.file('memory', cgroup, two ? 'memory.events' : 'memory.oom_control') ?? '';
    const stat = this.file('memory', cgroup, 'memory.stat') ?? '';
    return {
      ...figures,
      userNanoSeconds: two ? key(times, 'user_usec') * 1_000 : key(times, 'user') * tick,
      systemNanoSeconds: two ? key(times, 'system_usec') * 1_000 : key(times, 'system') * tick,
      periods: key(cpu, 'nr_periods'),
      throttledPeriods: key(cpu, 'nr_throttled'),
      throttledNanoSeconds: two ? key(cpu, 'throttled_usec') * 1_000 : key(cpu, 'throttled_time'),
      cacheBytes: key(stat, two ? 'file' : 'total_cache'),
      peakBytes: Number(this.file('memory', cgroup, two ? 'memory.peak' : 'memory.max_usage_in_bytes') ?? NaN),
      limitHits: two ? key(events, 'max') : Number(this.file('memory', cgroup, 'memory.failcnt') ?? 0),
      oomKills: key(events, 'oom_kill'),
      processes: Number(this.file('pids', cgroup, 'pids.current') ?? NaN),
    };
  }

  private file(controller: string, cgroup: string, name: string): string | undefined {
    const mount = this.deps.tree.mounts.controllers.get(controller) ?? this.deps.tree.mounts.controllers.get('cpu');
    if (mount === undefined) return undefined;
    try {
      return fs.readFileSync(path.join(mount, cgroup, name), 'utf8').trim();
    } catch {
      return undefined;
    }
  }

  private rate(cgroup: string, total: number): number | undefined {
    const atMs = this.deps.clock.now();
    const last = this.samples.get(cgroup);
    if (last && atMs - last.atMs < minimumWindowMs) return last.rate;
    const rate =
      last && total >= last.total ? Math.round(((total - last.total) * 1_000) / (atMs - last.atMs)) : undefined;
    this.samples.set(cgroup, { atMs, total, rate });
    return rate;
  }
}

function key(content: string, name: string): number {
  const found = new RegExp(`^${name} (\\d+)$`, 'm').exec(content);
  return Number(found?.[1] ?? 0);
}
