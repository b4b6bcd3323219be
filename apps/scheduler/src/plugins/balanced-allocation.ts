import type { NodeInfo } from '../cache/node-info';
import { isBestEffort, type PodInfo } from '../cache/pod-info';
import { argumentFields, cpuAndMemory, readResources, type ResourceWeight } from '../config/plugin-args';
import { skip } from '../framework/status';
import { maxNodeScore, type Plugin, type PluginFactory } from '../framework/types';
import { amountOf } from './resource-scoring';

/** 100 when all resources would be used to the same part; less by how far the parts are from each other. */
function balance(resources: readonly ResourceWeight[], { requests }: PodInfo, node: NodeInfo): number {
  const parts: number[] = [];
  for (const { name } of resources) {
    const allocatable = amountOf(node.allocatable, name);
    if (allocatable === 0) continue;
    parts.push(Math.min((amountOf(node.requested, name) + amountOf(requests, name)) / allocatable, 1));
  }
  return Math.floor((1 - deviation(parts)) * maxNodeScore);
}

/** The standard deviation. */
function deviation(parts: readonly number[]): number {
  if (parts.length < 2) return 0;
  const [first = 0, second = 0] = parts;
  if (parts.length === 2) return Math.abs(first - second) / 2;
  const mean = parts.reduce((sum, part) => sum + part, 0) / parts.length;
  return Math.sqrt(parts.reduce((sum, part) => sum + (part - mean) ** 2, 0) / parts.length);
}

const build = (resources: readonly ResourceWeight[]): Plugin => ({
  preScore: (_state, { requests }) => (isBestEffort(requests) ? skip : undefined),
  score: (_state, pod, node) => balance(resources, pod, node),
});

/** Prefers nodes whose resources, cpu and memory by default, would be used to a similar part. */
export const balancedAllocation: PluginFactory = {
  name: 'NodeResourcesBalancedAllocation',
  requeueOn: [],
  build: () => build(cpuAndMemory),
  configure(args) {
    const resources = readResources(argumentFields(args, 'resources').resources);
    return () => build(resources);
  },
};
