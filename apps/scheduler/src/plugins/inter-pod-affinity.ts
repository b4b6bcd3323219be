import type { NodeInfo } from '../cache/node-info';
import type { NodeCounts } from '../cache/node-counts';
import { termSelects, type AffinityTerm, type PodAffinity } from '../cache/pod-affinity';
import type { PodInfo } from '../cache/pod-info';
import { argumentFields } from '../config/plugin-args';
import { stateKey } from '../framework/cycle-state';
import { skip, unresolvable, unschedulable } from '../framework/status';
import { maxNodeScore, type Handle, type Plugin, type PluginFactory } from '../framework/types';

/** Domain → how many pods. */
type Counts = ReadonlyMap<string, number>;

interface Required {
  /** Where existing pods' anti-affinity forbids this pod. */
  existingAnti: { topologyKey: string; domains: Counts }[];
  affinity: { topologyKey: string; domains: Counts }[];
  anti: { topologyKey: string; domains: Counts }[];
  /** The pod satisfies its own affinity terms: the first of a group may go anywhere. */
  selfAffine: boolean;
}

/** What each pod in a domain adds to the score of the domain's nodes. */
interface Attraction {
  topologyKey: string;
  domains: Counts;
  factor: number;
}

const requiredKey = stateKey<Required>('InterPodAffinity/required');
const scoresKey = stateKey<readonly Attraction[]>('InterPodAffinity/scores');
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

function build(
  { hardPodAffinityWeight, ignorePreferredTermsOfExistingPods }: AffinityArguments,
  handle: Handle,
): Plugin {
  const { cache, namespaceLabels } = handle;

  /** How many pods each node has that all of the terms select. */
  const countMatching = (terms: readonly AffinityTerm[]): NodeCounts =>
    cache.counters.count({
      id: `affinity ${terms.map(term => term.id).join(' ')}`,
      matches: pod => terms.every(term => termSelects(term, pod, namespaceLabels)),
      countTerminating: true,
    });

  const inDomainsOf = ({ topologyKey }: AffinityTerm, counts: NodeCounts) => ({
    topologyKey,
    domains: counts.inDomains(topologyKey),
  });

  /** The domains of the terms of one kind that placed pods have about this pod. */
  const heldAbout = (kind: keyof PodAffinity, { pod }: PodInfo) =>
    [...cache.affinityTerms.of(kind)]
      .filter(({ term }) => termSelects(term, pod, namespaceLabels))
      .map(({ term, counts }) => ({ ...inDomainsOf(term, counts), weight: term.weight }));

  const attractions = (pod: PodInfo): Attraction[] => {
    const { preferred = [], preferredAnti = [] } = pod.affinity ?? {};
    const own = (terms: readonly AffinityTerm[], sign: 1 | -1): Attraction[] =>
      terms.map(term => ({ ...inDomainsOf(term, countMatching([term])), factor: sign * term.weight }));
    const others = (kind: keyof PodAffinity, sign: number): Attraction[] =>
      heldAbout(kind, pod).map(({ weight, ...rest }) => ({ ...rest, factor: sign * weight }));
    const requiredOnly = ignorePreferredTermsOfExistingPods && preferred.length + preferredAnti.length === 0;
    return [
      ...own(preferred, 1),
      ...own(preferredAnti, -1),
      ...others('required', hardPodAffinityWeight),
      ...(requiredOnly ? [] : [...others('preferred', 1), ...others('preferredAnti', -1)]),
    ].filter(({ domains }) => domains.size > 0);
  };

  return {
    preFilterCountsPods: true,
    preFilter(state, pod) {
      const existingAnti = heldAbout('requiredAnti', pod);
      const required = pod.affinity?.required ?? [];
      const requiredAnti = pod.affinity?.requiredAnti ?? [];
      if (existingAnti.length === 0 && required.length === 0 && requiredAnti.length === 0) return skip;
      state.write(requiredKey, {
        existingAnti,
        affinity: required.map(term => inDomainsOf(term, countMatching(required))),
        anti: requiredAnti.map(term => inDomainsOf(term, countMatching([term]))),
        selfAffine: required.every(term => termSelects(term, pod.pod, namespaceLabels)),
      });
      return undefined;
    },
    filter(state, _pod, node) {
      const required = state.read(requiredKey);
      if (!required) return undefined;
      if (!satisfiesAffinity(required, node)) return affinityRefused;
      const { labels } = node;
      if (required.anti.some(refused => isIn(refused, labels))) return antiRefused;
      if (required.existingAnti.some(refused => isIn(refused, labels))) return existingAntiRefused;
      return undefined;
    },
    preScore(state, pod) {
      const scores = attractions(pod);
      if (scores.length === 0) return skip;
      state.write(scoresKey, scores);
      return undefined;
    },
    score(state, _pod, node) {
      let score = 0;
      const { labels } = node;
      for (const { topologyKey, domains, factor } of state.read(scoresKey) ?? [])
        score += factor * (domains.get(labels[topologyKey] ?? '') ?? 0);
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

function isIn({ topologyKey, domains }: { topologyKey: string; domains: Counts }, labels: NodeInfo['labels']): boolean {
  const domain = labels[topologyKey];
  return domain !== undefined && domains.has(domain);
}

function satisfiesAffinity({ affinity, selfAffine }: Required, { labels }: NodeInfo): boolean {
  if (affinity.some(({ topologyKey }) => labels[topologyKey] === undefined)) return false;
  if (affinity.every(wanted => isIn(wanted, labels))) return true;
  return selfAffine && affinity.every(({ domains }) => domains.size === 0);
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
