import fs from 'node:fs';
import path from 'node:path';
import { formatCpuSet } from '../topology/cpu-set';
import type { Cpu } from '../topology/cpu-topology';

/** Processors of a machine, numbered as kernels do: first the first thread of every core. */
export function machine(layout: {
  sockets: number;
  nodesPerSocket: number;
  coresPerNode: number;
  threads: number;
}): Cpu[] {
  const { sockets, nodesPerSocket, coresPerNode, threads } = layout;
  const cores = sockets * nodesPerSocket * coresPerNode;
  return Array.from({ length: cores * threads }, (_, id) => {
    const core = id % cores;
    const node = Math.floor(core / coresPerNode);
    return { id, core, node, socket: Math.floor(node / nodesPerSocket) };
  });
}

/** Writes what a kernel would show of these processors below /sys/devices/system. `memory`: of each NUMA node. */
export function writeSystemDevices(
  root: string,
  cpus: readonly Cpu[],
  memory?: { mebibytes: number; hugePages: number },
): void {
  const write = (name: string, text: string): void => {
    fs.mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
    fs.writeFileSync(path.join(root, name), `${text}\n`);
  };
  const list = (holds: (cpu: Cpu) => boolean): string => formatCpuSet(new Set(cpus.filter(holds).map(({ id }) => id)));
  write(
    'cpu/online',
    list(() => true),
  );
  for (const { id, core, socket } of cpus) {
    write(`cpu/cpu${id}/topology/physical_package_id`, String(socket));
    write(
      `cpu/cpu${id}/topology/thread_siblings_list`,
      list(cpu => cpu.core === core),
    );
  }
  for (const node of new Set(cpus.map(cpu => cpu.node))) {
    write(
      `node/node${node}/cpulist`,
      list(cpu => cpu.node === node),
    );
    if (!memory) continue;
    write(`node/node${node}/meminfo`, `Node ${node} MemTotal:  ${memory.mebibytes * 1024} kB`);
    write(`node/node${node}/hugepages/hugepages-2048kB/nr_hugepages`, String(memory.hugePages));
  }
}
