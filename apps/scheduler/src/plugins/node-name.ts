import { skip, unresolvable } from '../framework/status';
import type { PluginFactory } from '../framework/types';

const refused = unresolvable("node(s) didn't match the requested node name");

/** Only the node that the pod names. Such pods seldom pass the scheduler at all. */
export const nodeName: PluginFactory = {
  name: 'NodeName',
  requeueOn: ['NodeAdd'],
  isHelped: ({ pod }, { node }) => pod.spec?.nodeName === undefined || pod.spec.nodeName === node?.name,
  build: () => ({
    preFilter: (_state, { pod }) => (pod.spec?.nodeName ? undefined : skip),
    filter: (_state, { pod }, node) => (pod.spec?.nodeName === node.name ? undefined : refused),
  }),
};
