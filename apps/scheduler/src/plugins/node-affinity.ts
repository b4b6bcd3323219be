import { compileNodeDemand, compileNodeSelectorTerm, type NodeMatcher, type PodSpec } from '@naru/api';
import type { ConfigNode } from '../config/config-node';
import { argumentFields } from '../config/plugin-args';
import { stateKey } from '../framework/cycle-state';
import { normalizeByMax } from '../framework/normalize';
import { skip, unresolvable } from '../framework/status';
import type { Plugin, PluginFactory } from '../framework/types';

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

type NodeAffinity = NonNullable<NonNullable<PodSpec['affinity']>['nodeAffinity']>;

/** What the profile asks of every pod's node. */
interface Added {
  required: NodeMatcher | undefined;
  preferred: NonNullable<NodeAffinity['preferredDuringSchedulingIgnoredDuringExecution']>;
}

const nothingAdded: Added = { required: undefined, preferred: [] };
const refusedByProfile = unresolvable("node(s) didn't match scheduler-enforced node affinity");

function readAdded(args: ConfigNode): Added {
  const affinity = argumentFields(args, 'addedAffinity').addedAffinity.value as NodeAffinity | undefined;
  return {
    required: compileNodeDemand({ containers: [], affinity: { nodeAffinity: affinity ?? {} } }),
    preferred: affinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [],
  };
}

function build({ required, preferred }: Added): Plugin {
  return {
    preFilter(state, { pod }) {
      const demand = compileNodeDemand(pod.spec);
      if (!demand) return required ? undefined : skip;
      state.write(demandKey, demand);
      const nodeNames = pinnedNames(pod.spec);
      return nodeNames && { nodeNames };
    },
    filter(state, _pod, { node }) {
      if (!node) return undefined;
      if (required?.(node) === false) return refusedByProfile;
      return state.read(demandKey)?.(node) === false ? refused : undefined;
    },
    preScore(state, { pod }) {
      const own = pod.spec?.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
      const all = [...preferred, ...own];
      if (all.length === 0) return skip;
      state.write(
        preferencesKey,
        all.map(({ weight, preference }) => ({ weight, matches: compileNodeSelectorTerm(preference) })),
      );
      return undefined;
    },
    score(state, _pod, { node }) {
      let sum = 0;
      for (const { weight, matches } of state.read(preferencesKey) ?? []) if (node && matches(node)) sum += weight;
      return sum;
    },
    normalizeScore: (_state, _pod, scores) => normalizeByMax(scores, false),
  };
}

/** nodeSelector and required node affinity forbid, preferred node affinity scores. */
export const nodeAffinity: PluginFactory = {
  name: 'NodeAffinity',
  weight: 2,
  requeueOn: ['NodeAdd', 'NodeLabels', 'PodUpdate'],
  isHelped: ({ pod }, { node }) => !node?.node || (compileNodeDemand(pod.spec)?.(node.node) ?? true),
  build: () => build(nothingAdded),
  configure(args) {
    const added = readAdded(args);
    return () => build(added);
  },
};
