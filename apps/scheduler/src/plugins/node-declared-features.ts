import { featuresToRun, missingFeatures, type Pod } from '@naru/api';
import { unresolvable } from '../framework/status';
import type { PluginFactory } from '../framework/types';

const refused = unresolvable("node(s) didn't match Pod's required features");

const neededBy = ({ spec }: Pod): string[] => (spec ? featuresToRun(spec) : []);

/** Keeps pods off nodes that do not know what they need: of another version, or with a runtime that cannot do it. */
export const nodeDeclaredFeatures: PluginFactory = {
  name: 'NodeDeclaredFeatures',
  requeueOn: ['NodeAdd', 'NodeDeclaredFeatures', 'PodUpdate'],
  isHelped: ({ pod }, { event, node }) =>
    event === 'PodUpdate' || missingFeatures(neededBy(pod), node?.node?.status?.declaredFeatures).length === 0,
  build: () => ({
    filter(_state, { pod }, { node }) {
      const needed = neededBy(pod);
      if (needed.length === 0) return undefined;
      return missingFeatures(needed, node?.status?.declaredFeatures).length === 0 ? undefined : refused;
    },
  }),
};
