import fs from 'node:fs';
import type { cri } from '@naru/proto';
import { BoundedMap, type Clock } from '@naru/foundation';
import { flatKey, readCgroupFile, type Cgroups } from '../process/cgroups';

/** Figures of one cgroup. */
export interface CgroupUsage {
  cpu: cri.CpuUsage;
  memory: cri.MemoryUsage;
  swap: cri.SwapUsage;
  processes: bigint;
}

interface CpuSample {
  atMs: number;
  totalNs: bigint;
  nanoCores: bigint | undefined;
}

const maxSamples = 10_000;
/** Rates over a shorter time would be noise. */
const minWindowMs = 1_000;
/** Limits above this mean "none" in version 1. */
const unlimitedBytes = 1n << 60n;

/** Reads the usage of cgroups, and remembers the last samples, from which rates come. */
export class CgroupStats {
  readonly #samples = new BoundedMap<string, CpuSample>(maxSamples);

  constructor(private readonly deps: { cgroups: Cgroups; clock: Clock }) {}

  /** Usage of a cgroup; undefined when it is gone. */
  usage(cgroup: string): CgroupUsage | undefined {
    const totalNs = this.#cpuTotal(cgroup);
    if (totalNs === undefined) return undefined;
    const timestamp = BigInt(this.deps.clock.now()) * 1_000_000n;
    const nanoCores = this.#rate(cgroup, totalNs);
    return {
      cpu: {
        timestamp,
        usageCoreNanoSeconds: { value: totalNs },
        usageNanoCores: nanoCores === undefined ? undefined : { value: nanoCores },
        psi: undefined,
      },
      ...this.#memory(cgroup, timestamp),
      // Of the whole tree: a pod's processes are in the cgroups of its containers.
      processes: BigInt(readCgroupFile(this.deps.cgroups.directory('pids', cgroup), 'pids.current')?.trim() ?? 0),
    };
  }

  #cpuTotal(cgroup: string): bigint | undefined {
    const { cgroups } = this.deps;
    if (cgroups.version === 2) {
      const micros = flatKey(readCgroupFile(cgroups.directory('cpu', cgroup), 'cpu.stat'), 'usage_usec');
      return micros === undefined ? undefined : micros * 1_000n;
    }
    const text = readCgroupFile(cgroups.directory('cpuacct', cgroup), 'cpuacct.usage');
    return text === undefined ? undefined : BigInt(text.trim());
  }

  #rate(cgroup: string, totalNs: bigint): bigint | undefined {
    const atMs = this.deps.clock.now();
    const last = this.#samples.get(cgroup);
    if (last && atMs - last.atMs < minWindowMs) return last.nanoCores;
    const nanoCores =
      last && totalNs >= last.totalNs ? ((totalNs - last.totalNs) * 1_000n) / BigInt(atMs - last.atMs) : undefined;
    this.#samples.set(cgroup, { atMs, totalNs, nanoCores });
    return nanoCores;
  }

  #memory(cgroup: string, timestamp: bigint): { memory: cri.MemoryUsage; swap: cri.SwapUsage } {
    const { cgroups } = this.deps;
    const directory = cgroups.directory('memory', cgroup);
    const two = cgroups.version === 2;
    const stat = readCgroupFile(directory, 'memory.stat');
    const number = (file: string): bigint => {
      const text = readCgroupFile(directory, file)?.trim();
      return text === undefined || text === 'max' || !/^\d+$/.test(text) ? 0n : BigInt(text);
    };
    const usage = number(two ? 'memory.current' : 'memory.usage_in_bytes');
    const inactive = flatKey(stat, two ? 'inactive_file' : 'total_inactive_file') ?? 0n;
    const workingSet = usage > inactive ? usage - inactive : 0n;
    const limit = number(two ? 'memory.max' : 'memory.limit_in_bytes');
    const limited = limit > 0n && limit < unlimitedBytes;
    const swapUsage = two ? number('memory.swap.current') : (flatKey(stat, 'total_swap') ?? 0n);
    return {
      memory: {
        timestamp,
        workingSetBytes: { value: workingSet },
        availableBytes: limited ? { value: limit > workingSet ? limit - workingSet : 0n } : undefined,
        usageBytes: { value: usage },
        rssBytes: { value: flatKey(stat, two ? 'anon' : 'total_rss') ?? 0n },
        pageFaults: { value: flatKey(stat, two ? 'pgfault' : 'total_pgfault') ?? 0n },
        majorPageFaults: { value: flatKey(stat, two ? 'pgmajfault' : 'total_pgmajfault') ?? 0n },
        psi: undefined,
      },
      swap: { timestamp, swapAvailableBytes: undefined, swapUsageBytes: { value: swapUsage } },
    };
  }
}

/** The interfaces' counters in the network namespace of a process, from /proc/PID/net/dev. */
export function networkUsage(pid: number, timestamp: bigint): cri.NetworkUsage | undefined {
  let text: string;
  try {
    text = fs.readFileSync(`/proc/${pid}/net/dev`, 'utf8');
  } catch {
    return undefined;
  }
  const all = text
    .split('\n')
    .slice(2)
    .filter(line => line.includes(':'))
    .map(line => {
      const [name = '', rest = ''] = line.split(':');
      const counters = rest.trim().split(/\s+/).map(BigInt);
      const value = (index: number): cri.UInt64Value => ({ value: counters[index] ?? 0n });
      return { name: name.trim(), rxBytes: value(0), rxErrors: value(2), txBytes: value(8), txErrors: value(10) };
    })
    .filter(entry => entry.name !== 'lo');
  return {
    timestamp,
    defaultInterface: all.find(entry => entry.name === 'eth0'),
    interfaces: all.filter(entry => entry.name !== 'eth0'),
  };
}
