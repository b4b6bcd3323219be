import { isBestEffort } from '../cache/pod-info';
import { skip } from '../framework/status';
import { maxNodeScore, type PluginFactory } from '../framework/types';

/** Prefers nodes whose cpu and memory would be used to a similar part. */
export const balancedAllocation: PluginFactory = {
  name: 'NodeResourcesBalancedAllocation',
  requeueOn: [],
  build: () => ({
    preScore: (_state, { requests }) => (isBestEffort(requests) ? skip : undefined),
    score(_state, { requests }, { requested, allocatable }) {
      if (allocatable.cpu === 0 || allocatable.memory === 0) return maxNodeScore;
      const cpu = Math.min((requested.cpu + requests.cpu) / allocatable.cpu, 1);
      const memory = Math.min((requested.memory + requests.memory) / allocatable.memory, 1);
      // The standard deviation of two values is half their distance.
      return Math.floor((1 - Math.abs(cpu - memory) / 2) * maxNodeScore);
    },
  }),
};
