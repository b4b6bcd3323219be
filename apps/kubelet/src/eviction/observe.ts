import type { FsStats, NodeStats } from '../stats/summary-types';
import type { Observation, Signal } from './thresholds';

/** Reads the signals off the node's figures. Source: pkg/kubelet/eviction makeSignalObservations. */
export function observe(node: NodeStats): Map<Signal, Observation> {
  const observations = new Map<Signal, Observation>();
  const put = (signal: Signal, available: number | undefined, capacity: number | undefined): void => {
    if (available !== undefined && capacity !== undefined) observations.set(signal, { available, capacity });
  };
  const memory = (signal: Signal, of: NodeStats['memory']): void =>
    put(signal, of?.availableBytes, (of?.availableBytes ?? 0) + (of?.workingSetBytes ?? 0));
  const disk = (name: 'nodefs' | 'imagefs', of: FsStats | undefined): void => {
    put(`${name}.available`, of?.availableBytes, of?.capacityBytes);
    put(`${name}.inodesFree`, of?.inodesFree, of?.inodes);
  };
  memory('memory.available', node.memory);
  memory('allocatableMemory.available', node.systemContainers.find(({ name }) => name === 'pods')?.memory);
  disk('nodefs', node.fs);
  disk('imagefs', node.runtime.imageFs);
  put('pid.available', node.rlimit.maxpid - node.rlimit.curproc, node.rlimit.maxpid);
  return observations;
}
