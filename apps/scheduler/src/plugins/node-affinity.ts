import { compileNodeDemand, compileNodeSelectorTerm, type NodeMatcher, type PodSpec } from '@naru/api';
import { stateKey } from '../framework/cycle-state';
import { normalizeByMax } from '../framework/normalize';
import { skip, unresolvable } from '../framework/status';
import type { PluginFactory } from '../framework/types';

const demandKey = stateKey<NodeMatcher>('NodeAffinity/demand');
const preferencesKey = stateKey<{ weight: number; matches: NodeMatcher }[]>('NodeAffinity/preferences');
const refused = unresolvable("node(s) didn't match Pod's node affinity/selector");

/** The node names that every required term pins by metadata.name; DaemonSet pods are made so. */
function pinnedNames(spec: PodSpec | undefined): Set<string> | undefined {
  const terms = spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  const names = new Set<string>();
  for (const term of terms) {
    const pin = term.matchFields?.find(({ key, operator }) => key === 'metadata.name' && operator === 'In');
    if (!pin) return undefined;
    for (const name of pin.values ?? []) names.add(name);
  }
  return terms.length > 0 ? names : undefined;
}

/** nodeSelector and required node affinity forbid, preferred node affinity scores. */
export const nodeAffinity: PluginFactory = {
  name: 'NodeAffinity',
  weight: 2,
  requeueOn: ['NodeAdd', 'NodeLabels', 'PodUpdate'],
  build: () => ({
    preFilter(state, { pod }) {
      const demand = compileNodeDemand(pod.spec);
      if (!demand) return skip;
      state.write(demandKey, demand);
      const nodeNames = pinnedNames(pod.spec);
      return nodeNames && { nodeNames };
    },
    filter: (state, _pod, { node }) => (node && state.read(demandKey)?.(node) === false ? refused : undefined),
    preScore(state, { pod }) {
      const preferred = pod.spec?.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution;
      if (!preferred?.length) return skip;
      state.write(
        preferencesKey,
        preferred.map(({ weight, preference }) => ({ weight, matches: compileNodeSelectorTerm(preference) })),
      );
      return undefined;
    },
    score(state, _pod, { node }) {
      let sum = 0;
      for (const { weight, matches } of state.read(preferencesKey) ?? []) if (node && matches(node)) sum += weight;
      return sum;
    },
    normalizeScore: (_state, _pod, scores) => normalizeByMax(scores, false),
  }),
};
