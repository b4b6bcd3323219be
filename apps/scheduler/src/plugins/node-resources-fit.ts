import type { NodeInfo } from '../cache/node-info';
import type { PodInfo } from '../cache/pod-info';
import { unschedulable, type Status } from '../framework/status';
import { maxNodeScore, type PluginFactory } from '../framework/types';

const combinations = new Map<string, Status>();
const maxCombinations = 256;

/** The combinations of reasons are few and come once per node: shared. */
function refusal(reasons: string[]): Status {
  const id = reasons.join();
  const known = combinations.get(id);
  if (known) return known;
  if (combinations.size >= maxCombinations) combinations.clear();
  const status = unschedulable(...reasons);
  combinations.set(id, status);
  return status;
}

function lacks(requested: number, used: number, allocatable: number): boolean {
  return requested > 0 && requested > allocatable - used;
}

/** What the node lacks for the pod, in upstream's words; empty when it fits. */
function shortages({ requests }: PodInfo, node: NodeInfo): string[] | undefined {
  const { requested, allocatable } = node;
  let reasons: string[] | undefined;
  const note = (reason: string): void => void (reasons ??= []).push(reason);
  if (node.pods.size + 1 > node.allowedPods) note('Too many pods');
  if (lacks(requests.cpu, requested.cpu, allocatable.cpu)) note('Insufficient cpu');
  if (lacks(requests.memory, requested.memory, allocatable.memory)) note('Insufficient memory');
  if (lacks(requests.ephemeralStorage, requested.ephemeralStorage, allocatable.ephemeralStorage))
    note('Insufficient ephemeral-storage');
  if (requests.scalars) {
    for (const [name, amount] of requests.scalars) {
      if (lacks(amount, requested.scalars?.get(name) ?? 0, allocatable.scalars?.get(name) ?? 0))
        note(`Insufficient ${name}`);
    }
  }
  return reasons;
}

function leastAllocated(requested: number, allocatable: number): number {
  return requested > allocatable ? 0 : ((allocatable - requested) * maxNodeScore) / allocatable;
}

/** Requests must fit into what is allocatable; the emptier node scores higher (LeastAllocated, cpu and memory alike). */
export const nodeResourcesFit: PluginFactory = {
  name: 'NodeResourcesFit',
  requeueOn: ['NodeAdd', 'NodeAllocatable', 'AssignedPodDelete', 'AssignedPodUpdate', 'PodUpdate'],
  build: () => ({
    filter(_state, pod, node) {
      const reasons = shortages(pod, node);
      return reasons && refusal(reasons);
    },
    score(_state, pod, node) {
      const { cpu, memory } = node.allocatable;
      let sum = 0;
      let count = 0;
      if (cpu > 0) {
        sum += leastAllocated(node.nonZeroCpu + pod.nonZeroCpu, cpu);
        count++;
      }
      if (memory > 0) {
        sum += leastAllocated(node.nonZeroMemory + pod.nonZeroMemory, memory);
        count++;
      }
      return count === 0 ? 0 : Math.floor(sum / count);
    },
  }),
};
