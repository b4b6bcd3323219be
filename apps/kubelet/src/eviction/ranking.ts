import { podRequests, type Pod } from '@naru/api';
import type { PodStats } from '../stats/summary-types';
import type { Signal } from './thresholds';
import { resourceOf } from './thresholds';

export type PodStatsOf = (pod: Pod) => PodStats | undefined;
type Compare = (a: Pod, b: Pod) => number;

/** Which parts of a pod's files count: with images on a disk of their own, containers' layers are there too. */
export type DiskPart = 'rootfs' | 'logs' | 'volumes';

/** What a pod uses of a disk: bytes, or inodes. */
export function podDiskUsage(pod: Pod, stats: PodStats, parts: readonly DiskPart[], inodes: boolean): number {
  const key = inodes ? 'inodesUsed' : 'usedBytes';
  let total = 0;
  for (const container of stats.containers) {
    if (parts.includes('rootfs')) total += container.rootfs?.[key] ?? 0;
    if (parts.includes('logs')) total += container.logs?.[key] ?? 0;
  }
  if (!parts.includes('volumes')) return total;
  for (const volume of pod.spec?.volumes ?? []) {
    const inMemory = volume.emptyDir?.medium === 'Memory';
    const local = volume.hostPath ?? volume.emptyDir ?? volume.configMap ?? volume.gitRepo;
    if (!local || inMemory) continue;
    total += stats.volume?.find(({ name }) => name === volume.name)?.[key] ?? 0;
  }
  return total;
}

const truthFirst = (a: boolean, b: boolean): number => Number(b) - Number(a);
const byPriority: Compare = (a, b) => (a.spec?.priority ?? 0) - (b.spec?.priority ?? 0);

/** Pods of which nothing is known come first; the others by whether they use more than they asked for, or by how much more. */
function byUsage(statsOf: PodStatsOf, usage: (pod: Pod, stats: PodStats) => number, request: string) {
  const over = (pod: Pod, stats: PodStats): number => usage(pod, stats) - (podRequests(pod).get(request) ?? 0);
  const compare =
    (how: (a: number, b: number) => number): Compare =>
    (a, b) => {
      const [left, right] = [statsOf(a), statsOf(b)];
      if (!left || !right) return truthFirst(!left, !right);
      return how(over(a, left), over(b, right));
    };
  return {
    exceeds: compare((a, b) => truthFirst(a > 0, b > 0)),
    amount: compare((a, b) => b - a),
  };
}

/**
 * The order in which pods are evicted for a signal: those over their requests, then the least important, then the greediest.
 * Source: pkg/kubelet/eviction rankMemoryPressure, rankDiskPressureFunc, rankPIDPressure.
 */
export function rankPods(signal: Signal, pods: readonly Pod[], statsOf: PodStatsOf, dedicatedImageFs: boolean): Pod[] {
  const order = comparisons(signal, statsOf, dedicatedImageFs);
  return [...pods].sort((a, b) => {
    for (const compare of order) {
      const result = compare(a, b);
      if (result !== 0) return result;
    }
    return 0;
  });
}

function comparisons(signal: Signal, statsOf: PodStatsOf, dedicatedImageFs: boolean): Compare[] {
  const resource = resourceOf(signal);
  if (resource === 'pids') {
    const processes = byUsage(statsOf, (_, stats) => stats.process_stats?.process_count ?? 0, 'pids');
    return [byPriority, processes.amount];
  }
  if (resource === 'memory') {
    const memory = byUsage(statsOf, (_, stats) => stats.memory?.workingSetBytes ?? 0, 'memory');
    return [memory.exceeds, byPriority, memory.amount];
  }
  const parts = diskParts(signal, dedicatedImageFs);
  const disk = byUsage(statsOf, (pod, stats) => podDiskUsage(pod, stats, parts, resource === 'inodes'), resource);
  return [disk.exceeds, byPriority, disk.amount];
}

/** What a signal about a disk measures of a pod. */
export function diskParts(signal: Signal, dedicatedImageFs: boolean): DiskPart[] {
  if (!dedicatedImageFs) return ['rootfs', 'logs', 'volumes'];
  return signal.startsWith('imagefs') ? ['rootfs'] : ['logs', 'volumes'];
}
