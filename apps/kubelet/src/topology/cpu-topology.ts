import fs from 'node:fs';
import path from 'node:path';
import { parseCpuSet, type CpuSet } from './cpu-set';

/** A logical processor, and where it is. A core is named by the lowest of its processors. */
export interface Cpu {
  id: number;
  core: number;
  socket: number;
  /** Its NUMA node. */
  node: number;
}

export type CpuLevel = 'core' | 'socket' | 'node';

/** The processors of a machine. */
export class CpuTopology {
  readonly all: CpuSet;
  /** NUMA nodes that have processors, ascending. */
  readonly nodes: readonly number[];
  private readonly byId: ReadonlyMap<number, Cpu>;

  constructor(cpus: readonly Cpu[]) {
    this.byId = new Map(cpus.map(cpu => [cpu.id, cpu]));
    this.all = new Set(this.byId.keys());
    this.nodes = [...new Set(cpus.map(({ node }) => node))].sort((a, b) => a - b);
  }

  /** Reads what the kernel tells below /sys/devices/system. Only processors that are online count. */
  static read(root = '/sys/devices/system'): CpuTopology {
    const text = (...parts: string[]): string => fs.readFileSync(path.join(root, ...parts), 'utf8').trim();
    const nodeOf = new Map<number, number>();
    const folder = path.join(root, 'node');
    for (const name of fs.existsSync(folder) ? fs.readdirSync(folder) : []) {
      if (!/^node\d+$/.test(name)) continue;
      for (const id of parseCpuSet(text('node', name, 'cpulist'))) nodeOf.set(id, Number(name.slice('node'.length)));
    }
    const cpus = [...parseCpuSet(text('cpu', 'online'))].map(id => {
      const at = (file: string): string => text('cpu', `cpu${id}`, 'topology', file);
      const [core = id] = [...parseCpuSet(at('thread_siblings_list'))].sort((a, b) => a - b);
      return { id, core, socket: Math.max(0, Number(at('physical_package_id'))), node: nodeOf.get(id) ?? 0 };
    });
    return new CpuTopology(cpus);
  }

  /** Processors by the core, socket or NUMA node that they belong to. */
  groups(cpus: CpuSet, level: CpuLevel): Map<number, Set<number>> {
    const groups = new Map<number, Set<number>>();
    for (const id of cpus) {
      const key = this.byId.get(id)?.[level];
      if (key === undefined) continue;
      const group = groups.get(key) ?? new Set();
      groups.set(key, group.add(id));
    }
    return groups;
  }

  get threadsPerCore(): number {
    return this.all.size / this.groups(this.all, 'core').size;
  }

  /** Those of some NUMA nodes. */
  inNodes(cpus: CpuSet, nodes: readonly number[]): Set<number> {
    return new Set([...cpus].filter(id => nodes.includes(this.byId.get(id)?.node ?? -1)));
  }
}
