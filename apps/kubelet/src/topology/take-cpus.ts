import { difference, type CpuSet } from './cpu-set';
import type { CpuLevel, CpuTopology } from './cpu-topology';

/** Throws, in upstream's words, when there are too few. */
export function requireCpus(free: CpuSet, count: number): void {
  if (free.size >= count) return;
  throw new Error(`not enough cpus available to satisfy request: requested=${count}, available=${free.size}`);
}

/** Groups that have least left come first, so that whole ones stay whole. */
function byLeastFree(groups: Map<number, Set<number>>): Set<number>[] {
  return [...groups].sort(([a, left], [b, right]) => left.size - right.size || a - b).map(([, group]) => group);
}

/**
 * Takes so many of the free processors, as close together as can be: whole sockets and NUMA nodes, then whole cores, then single ones.
 * `spread`: single ones of as many cores as possible. Throws when there are too few. Source: pkg/kubelet/cm/cpumanager/cpu_assignment.go.
 */
export function takeCpus(topology: CpuTopology, free: CpuSet, count: number, spread = false): Set<number> {
  requireCpus(free, count);
  const taken = new Set<number>();
  const left = (): Set<number> => difference(free, taken);
  const missing = (): number => count - taken.size;
  const take = (cpus: Iterable<number>): void => {
    for (const id of cpus) taken.add(id);
  };
  const takeWhole = (level: CpuLevel): void => {
    const whole = [...topology.groups(topology.all, level).values()];
    const places = level === 'core' ? byLeastFree(topology.groups(left(), 'socket')) : [left()];
    for (const group of places.flatMap(place => byLeastFree(topology.groups(place, level)))) {
      const isWhole = whole.some(each => each.size === group.size && [...group].every(id => each.has(id)));
      if (isWhole && group.size <= missing()) take(group);
    }
  };
  const sizes = (level: CpuLevel): number => topology.groups(topology.all, level).size;
  // The larger of the two comes first.
  const levels: CpuLevel[] = sizes('socket') <= sizes('node') ? ['socket', 'node'] : ['node', 'socket'];
  if (spread) {
    while (missing() > 0) {
      const cores = byLeastFree(topology.groups(left(), 'core')).reverse();
      for (const [first = -1] of cores) if (missing() > 0) take([first]);
    }
    return taken;
  }
  for (const level of [...levels, 'core' as const]) if (missing() > 0) takeWhole(level);
  for (const socket of byLeastFree(topology.groups(left(), 'socket'))) {
    for (const core of byLeastFree(topology.groups(socket, 'core'))) {
      for (const id of [...core].sort((a, b) => a - b)) if (missing() > 0) take([id]);
    }
  }
  return taken;
}
