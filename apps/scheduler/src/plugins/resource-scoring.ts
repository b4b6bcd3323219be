import { cpuAndMemory, readResources, readShape, scoreOn, type ResourceWeight } from '../config/plugin-args';
import type { ConfigNode } from '../config/config-node';
import type { NodeInfo } from '../cache/node-info';
import type { PodInfo, Resources } from '../cache/pod-info';
import { maxNodeScore } from '../framework/types';

/** The score of one resource, given what would be requested of it and what there is (more than 0). */
type ResourceScore = (requested: number, allocatable: number) => number;

export interface ScoringStrategy {
  score: ResourceScore;
  resources: readonly ResourceWeight[];
}

const leastAllocated: ResourceScore = (requested, allocatable) =>
  requested > allocatable ? 0 : ((allocatable - requested) * maxNodeScore) / allocatable;
const mostAllocated: ResourceScore = (requested, allocatable) =>
  (Math.min(requested, allocatable) * maxNodeScore) / allocatable;

export const defaultStrategy: ScoringStrategy = { score: leastAllocated, resources: cpuAndMemory };

/** @throws ConfigError */
export function readStrategy(node: ConfigNode): ScoringStrategy {
  const fields = node.fields('type', 'resources', 'requestedToCapacityRatio');
  const type = fields.type.choice(['LeastAllocated', 'MostAllocated', 'RequestedToCapacityRatio'], 'LeastAllocated');
  const resources = readResources(fields.resources);
  if (type === 'LeastAllocated') return { score: leastAllocated, resources };
  if (type === 'MostAllocated') return { score: mostAllocated, resources };
  const shape = readShape(fields.requestedToCapacityRatio.fields('shape').shape);
  return {
    resources,
    score: (requested, allocatable) =>
      requested > allocatable ? scoreOn(shape, 100) : scoreOn(shape, Math.trunc((requested * 100) / allocatable)),
  };
}

/** An amount by its name. */
export function amountOf(resources: Resources, name: string): number {
  switch (name) {
    case 'cpu':
      return resources.cpu;
    case 'memory':
      return resources.memory;
    case 'ephemeral-storage':
      return resources.ephemeralStorage;
    default:
      return resources.scalars?.get(name) ?? 0;
  }
}

/** What would be requested on the node; of cpu and memory with the stand-ins for containers that ask for nothing. */
function requestedWith(pod: PodInfo, node: NodeInfo, name: string): number {
  if (name === 'cpu') return node.nonZeroCpu + pod.nonZeroCpu;
  if (name === 'memory') return node.nonZeroMemory + pod.nonZeroMemory;
  return amountOf(node.requested, name) + amountOf(pod.requests, name);
}

/** The weighted mean over the strategy's resources that the node has and the pod may use: 0 to 100. */
export function scoreResources({ score, resources }: ScoringStrategy, pod: PodInfo, node: NodeInfo): number {
  let sum = 0;
  let weights = 0;
  for (const { name, weight } of resources) {
    const allocatable = amountOf(node.allocatable, name);
    if (allocatable <= 0) continue;
    // A node is neither better nor worse for GPUs that the pod does not want.
    if (name !== 'cpu' && name !== 'memory' && amountOf(pod.requests, name) === 0) continue;
    sum += Math.trunc(score(requestedWith(pod, node, name), allocatable)) * weight;
    weights += weight;
  }
  return weights === 0 ? 0 : Math.trunc(sum / weights);
}
