import type { NodeInfo } from '../cache/node-info';
import { termSelects, type AffinityTerm } from '../cache/pod-affinity';
import type { PodInfo } from '../cache/pod-info';
import { argumentFields } from '../config/plugin-args';
import { stateKey } from '../framework/cycle-state';
import { skip, unresolvable, unschedulable } from '../framework/status';
import { maxNodeScore, type Handle, type Plugin, type PluginFactory } from '../framework/types';

/** Topology key → domain → count or score. */
type ByDomain = Map<string, Map<string, number>>;

interface Required {
  /** Existing pods whose anti-affinity forbids this pod, by domain. */
  existingAnti: ByDomain;
  affinity: { term: AffinityTerm; domains: Map<string, number> }[];
  anti: { term: AffinityTerm; domains: Map<string, number> }[];
  /** The pod satisfies its own affinity terms: the first of a group may go anywhere. */
  selfAffine: boolean;
}

const requiredKey = stateKey<Required>('InterPodAffinity/required');
const scoresKey = stateKey<ByDomain>('InterPodAffinity/scores');
const affinityRefused = unresolvable("node(s) didn't match pod affinity rules");
const antiRefused = unschedulable("node(s) didn't match pod anti-affinity rules");
const existingAntiRefused = unschedulable("node(s) didn't satisfy existing pods anti-affinity rules");

interface AffinityArguments {
  /** How much it counts that a pod which is there requires this one beside it. */
  hardPodAffinityWeight: number;
  /** What pods that are there merely prefer counts only for pods with affinities of their own. */
  ignorePreferredTermsOfExistingPods: boolean;
}

const defaults: AffinityArguments = { hardPodAffinityWeight: 1, ignorePreferredTermsOfExistingPods: false };

function bump(by: ByDomain, key: string, domain: string | undefined, amount: number): void {
  if (domain === undefined) return;
  let domains = by.get(key);
  if (!domains) by.set(key, (domains = new Map()));
  domains.set(domain, (domains.get(domain) ?? 0) + amount);
}

function build(
  { hardPodAffinityWeight, ignorePreferredTermsOfExistingPods }: AffinityArguments,
  handle: Handle,
): Plugin {
  const { cache, namespaceLabels } = handle;

  /** How many pods each node has that all of the terms select. */
  const countMatching = (terms: readonly AffinityTerm[]): ReadonlyMap<string, number> =>
    cache.counters.count({
      id: `affinity ${terms.map(term => term.id).join(' ')}`,
      matches: pod => terms.every(term => termSelects(term, pod, namespaceLabels)),
      countTerminating: true,
    });

  const toDomains = (term: AffinityTerm, byNode: ReadonlyMap<string, number>): Map<string, number> => {
    const domains = new Map<string, number>();
    for (const [name, count] of byNode) {
      const domain = cache.getNode(name)?.labels[term.topologyKey];
      if (domain !== undefined) domains.set(domain, (domains.get(domain) ?? 0) + count);
    }
    return domains;
  };

  const existingAntiAffinity = (pod: PodInfo, nodes: readonly NodeInfo[]): ByDomain => {
    const by: ByDomain = new Map();
    for (const node of nodes) {
      if (node.podsWithRequiredAntiAffinity.size === 0) continue;
      for (const { affinity } of node.podsWithRequiredAntiAffinity.values()) {
        for (const term of affinity?.requiredAnti ?? [])
          if (termSelects(term, pod.pod, namespaceLabels)) bump(by, term.topologyKey, node.labels[term.topologyKey], 1);
      }
    }
    return by;
  };

  const scoreDomains = (pod: PodInfo): ByDomain => {
    const by: ByDomain = new Map();
    const addOwn = (terms: readonly AffinityTerm[], sign: 1 | -1): void => {
      for (const term of terms) {
        for (const [domain, count] of toDomains(term, countMatching([term])))
          bump(by, term.topologyKey, domain, sign * term.weight * count);
      }
    };
    addOwn(pod.affinity?.preferred ?? [], 1);
    addOwn(pod.affinity?.preferredAnti ?? [], -1);
    const ownPreferences = (pod.affinity?.preferred.length ?? 0) + (pod.affinity?.preferredAnti.length ?? 0) > 0;
    const requiredOnly = ignorePreferredTermsOfExistingPods && !ownPreferences;
    // What the pods that are there think of this one.
    for (const node of cache.nodeList()) {
      if (node.podsWithAffinity.size === 0) continue;
      for (const { affinity } of node.podsWithAffinity.values()) {
        const weigh = (terms: readonly AffinityTerm[] | undefined, factor: number): void => {
          for (const term of terms ?? []) {
            if (!termSelects(term, pod.pod, namespaceLabels)) continue;
            bump(by, term.topologyKey, node.labels[term.topologyKey], factor * term.weight);
          }
        };
        weigh(affinity?.required, hardPodAffinityWeight);
        if (requiredOnly) continue;
        weigh(affinity?.preferred, 1);
        weigh(affinity?.preferredAnti, -1);
      }
    }
    return by;
  };

  return {
    preFilter(state, pod, nodes) {
      const existingAnti = existingAntiAffinity(pod, nodes);
      const required = pod.affinity?.required ?? [];
      const requiredAnti = pod.affinity?.requiredAnti ?? [];
      if (existingAnti.size === 0 && required.length === 0 && requiredAnti.length === 0) return skip;
      const matchingAll = required.length > 0 ? countMatching(required) : new Map<string, number>();
      state.write(requiredKey, {
        existingAnti,
        affinity: required.map(term => ({ term, domains: toDomains(term, matchingAll) })),
        anti: requiredAnti.map(term => ({ term, domains: toDomains(term, countMatching([term])) })),
        selfAffine: required.every(term => termSelects(term, pod.pod, namespaceLabels)),
      });
      return undefined;
    },
    filter(state, _pod, node) {
      const required = state.read(requiredKey);
      if (!required) return undefined;
      if (!satisfiesAffinity(required, node)) return affinityRefused;
      for (const { term, domains } of required.anti) {
        const domain = node.labels[term.topologyKey];
        if (domain !== undefined && (domains.get(domain) ?? 0) > 0) return antiRefused;
      }
      for (const [key, domains] of required.existingAnti) {
        const domain = node.labels[key];
        if (domain !== undefined && domains.has(domain)) return existingAntiRefused;
      }
      return undefined;
    },
    preScore(state, pod) {
      const scores = scoreDomains(pod);
      if (scores.size === 0) return skip;
      state.write(scoresKey, scores);
      return undefined;
    },
    score(state, _pod, node) {
      let score = 0;
      for (const [key, domains] of state.read(scoresKey) ?? []) score += domains.get(node.labels[key] ?? '') ?? 0;
      return score;
    },
    normalizeScore(_state, _pod, scores) {
      const min = Math.min(...scores);
      const range = Math.max(...scores) - min;
      for (let i = 0; i < scores.length; i++)
        scores[i] = range > 0 ? Math.floor((maxNodeScore * ((scores[i] ?? 0) - min)) / range) : 0;
    },
  };
}

function satisfiesAffinity({ affinity, selfAffine }: Required, node: NodeInfo): boolean {
  let all = true;
  for (const { term, domains } of affinity) {
    const domain = node.labels[term.topologyKey];
    if (domain === undefined) return false;
    if (!domains.has(domain)) all = false;
  }
  return all || (selfAffine && affinity.every(({ domains }) => domains.size === 0));
}

/** Pods that want to be near, or far from, other pods. */
export const interPodAffinity: PluginFactory = {
  name: 'InterPodAffinity',
  weight: 2,
  requeueOn: ['NodeAdd', 'NodeLabels', 'AssignedPodAdd', 'AssignedPodUpdate', 'AssignedPodDelete', 'PodUpdate'],
  build: handle => build(defaults, handle),
  configure(args) {
    const fields = argumentFields(args, 'hardPodAffinityWeight', 'ignorePreferredTermsOfExistingPods');
    const given: AffinityArguments = {
      hardPodAffinityWeight: fields.hardPodAffinityWeight.integer({ min: 0, max: 100, fallback: 1 }),
      ignorePreferredTermsOfExistingPods: fields.ignorePreferredTermsOfExistingPods.truth(false),
    };
    return handle => build(given, handle);
  },
};
