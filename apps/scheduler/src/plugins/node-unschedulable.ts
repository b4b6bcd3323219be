import { tolerates } from '@naru/api';
import { unresolvable } from '../framework/status';
import type { PluginFactory } from '../framework/types';

const refused = unresolvable('node(s) were unschedulable');
const taint = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' };

/** Keeps pods off cordoned nodes, unless they tolerate it. */
export const nodeUnschedulable: PluginFactory = {
  name: 'NodeUnschedulable',
  requeueOn: ['NodeAdd', 'NodeTaints', 'PodUpdate'],
  isHelped: (_pod, { event, node }) => event === 'PodUpdate' || !node?.node?.spec?.unschedulable,
  build: () => ({
    filter(_state, { pod }, { node }) {
      if (!node?.spec?.unschedulable) return undefined;
      return pod.spec?.tolerations?.some(toleration => tolerates(toleration, taint)) ? undefined : refused;
    },
  }),
};
