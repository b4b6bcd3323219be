import { unresolvable } from '../framework/status';
import type { PluginFactory } from '../framework/types';

/** A pod with scheduling gates does not enter the queue. */
export const schedulingGates: PluginFactory = {
  name: 'SchedulingGates',
  requeueOn: ['PodUpdate'],
  build: () => ({
    preEnqueue({ pod }) {
      const gates = pod.spec?.schedulingGates ?? [];
      if (gates.length === 0) return undefined;
      return unresolvable(`waiting for scheduling gates: [${gates.map(gate => gate.name).join(' ')}]`);
    },
  }),
};
