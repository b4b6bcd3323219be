import { skip, unschedulable } from '../framework/status';
import type { PluginFactory } from '../framework/types';

const refused = unschedulable("node(s) didn't have free ports for the requested pod ports");

/** Host ports are taken by one pod of a node. */
export const nodePorts: PluginFactory = {
  name: 'NodePorts',
  requeueOn: ['NodeAdd', 'AssignedPodDelete'],
  isHelped: (pod, { node }) => !node?.hasPortConflict(pod.hostPorts),
  build: () => ({
    preFilter: (_state, pod) => (pod.hostPorts.length > 0 ? undefined : skip),
    filter: (_state, pod, node) => (node.hasPortConflict(pod.hostPorts) ? refused : undefined),
  }),
};
