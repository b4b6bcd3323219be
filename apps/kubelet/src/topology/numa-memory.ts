import fs from 'node:fs';
import path from 'node:path';
import { hugePageName, readHugePages } from '../node/huge-pages';
import type { MachineReading } from '../node/machine';

/** The memory of one NUMA node. */
export interface NumaMemory {
  id: number;
  bytes: number;
  /** Set aside, and part of `bytes`: hugepages-2Mi → bytes. */
  hugePages: ReadonlyMap<string, number>;
}

/** Reads what the kernel tells below /sys/devices/system. A machine without NUMA nodes is one with one node. */
export function readNumaMemory(
  machine: Pick<MachineReading, 'memoryBytes' | 'hugePages'>,
  root = '/sys/devices/system',
): NumaMemory[] {
  const named = (pages: ReadonlyMap<number, number>): Map<string, number> =>
    new Map([...pages].map(([size, bytes]) => [hugePageName(size), bytes]));
  const folder = path.join(root, 'node');
  const nodes = (fs.existsSync(folder) ? fs.readdirSync(folder) : [])
    .filter(name => /^node\d+$/.test(name) && fs.existsSync(path.join(folder, name, 'meminfo')))
    .map(name => {
      const meminfo = fs.readFileSync(path.join(folder, name, 'meminfo'), 'utf8');
      return {
        id: Number(name.slice('node'.length)),
        bytes: Number(/MemTotal:\s+(\d+) kB/.exec(meminfo)?.[1] ?? 0) * 1024,
        hugePages: named(readHugePages(path.join(folder, name, 'hugepages'))),
      };
    });
  if (nodes.length === 0) return [{ id: 0, bytes: machine.memoryBytes, hugePages: named(machine.hugePages) }];
  return nodes.sort((a, b) => a.id - b.id);
}
