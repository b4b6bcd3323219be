import type { Pod } from '@naru/api';
import type { NodeInfo } from '../cache/node-info';
import { stateKey } from '../framework/cycle-state';
import { skip, unresolvable, unschedulable } from '../framework/status';
import { maxNodeScore, type Handle, type Plugin, type PluginFactory } from '../framework/types';
import { readDefaultConstraints, systemDefaultConstraints, type DefaultConstraint } from './default-spread';
import { defaultConstraints, explicitConstraints, type SpreadConstraint } from './spread-constraints';

const hostnameLabel = 'kubernetes.io/hostname';
const missingLabel = unresolvable("node(s) didn't match pod topology spread constraints (missing required label)");
const tooSkewed = unschedulable("node(s) didn't match pod topology spread constraints");

interface HardState {
  constraint: SpreadConstraint;
  /** Matching pods by domain. */
  counts: ReadonlyMap<string, number>;
  min: number;
  self: number;
}

interface SoftState {
  constraints: {
    constraint: SpreadConstraint;
    counts: Map<string, number>;
    byNode: ReadonlyMap<string, number>;
    weight: number;
  }[];
  ignored: Set<string>;
}

const hardKey = stateKey<HardState[]>('PodTopologySpread/hard');
const softKey = stateKey<SoftState>('PodTopologySpread/soft');

function hasOwn(pod: Pod): boolean {
  return !!pod.spec?.topologySpreadConstraints?.length;
}

function hasAllKeys(node: NodeInfo, constraints: readonly SpreadConstraint[]): boolean {
  return constraints.every(({ topologyKey }) => node.labels[topologyKey] !== undefined);
}

/** All nodes that have the constraint's label take part, those without one of the others' included or not there: what is counted holds. */
function isPlain(constraint: SpreadConstraint, required: readonly SpreadConstraint[], { cache }: Handle): boolean {
  const others = required.filter(other => other !== constraint);
  return !constraint.includes && others.every(({ topologyKey }) => cache.topology.domains(topologyKey).complete);
}

function countHard(constraints: SpreadConstraint[], nodes: readonly NodeInfo[], handle: Handle): HardState[] {
  const { cache } = handle;
  return constraints.map(constraint => {
    const { topologyKey, minDomains } = constraint;
    const matching = cache.counters.count(constraint.selection);
    if (isPlain(constraint, constraints, handle)) {
      const counts = matching.inDomains(topologyKey);
      const { names } = cache.topology.domains(topologyKey);
      const isSomeEmpty = counts.size < names.size || names.size < minDomains;
      return { constraint, counts, min: isSomeEmpty ? 0 : least(counts), self: 0 };
    }
    const counts = new Map<string, number>();
    for (const node of nodes) {
      if (!hasAllKeys(node, constraints) || !node.node || constraint.includes?.(node.node) === false) continue;
      const domain = node.labels[topologyKey] as string;
      counts.set(domain, (counts.get(domain) ?? 0) + (matching.byNode.get(node.name) ?? 0));
    }
    return { constraint, counts, min: counts.size < minDomains ? 0 : least(counts), self: 0 };
  });
}

function least(counts: ReadonlyMap<string, number>): number {
  let min = counts.size === 0 ? 0 : Infinity;
  for (const count of counts.values()) min = Math.min(min, count);
  return min;
}

function build(defaults: readonly DefaultConstraint[], handle: Handle): Plugin {
  const constraintsOf = (pod: Pod, whenUnsatisfiable: DefaultConstraint['whenUnsatisfiable']): SpreadConstraint[] =>
    hasOwn(pod)
      ? explicitConstraints(pod, whenUnsatisfiable)
      : defaultConstraints(pod, defaults, whenUnsatisfiable, handle);
  return {
    preFilterCountsPods: true,
    preFilter(state, { pod }, nodes) {
      const constraints = constraintsOf(pod, 'DoNotSchedule');
      if (constraints.length === 0) return skip;
      const hard = countHard(constraints, nodes, handle);
      for (const entry of hard) entry.self = entry.constraint.selection.matches(pod) ? 1 : 0;
      state.write(hardKey, hard);
      return undefined;
    },
    filter(state, _pod, node) {
      for (const { constraint, counts, min, self } of state.read(hardKey) ?? []) {
        const domain = node.labels[constraint.topologyKey];
        if (domain === undefined) return missingLabel;
        if ((counts.get(domain) ?? 0) + self - min > constraint.maxSkew) return tooSkewed;
      }
      return undefined;
    },
    preScore(state, { pod }, nodes) {
      const constraints = constraintsOf(pod, 'ScheduleAnyway');
      if (constraints.length === 0) return skip;
      state.write(softKey, countSoft(constraints, nodes, hasOwn(pod), handle));
      return undefined;
    },
    score(state, _pod, node) {
      const soft = state.read(softKey);
      if (!soft || soft.ignored.has(node.name)) return 0;
      let score = 0;
      for (const { constraint, counts, byNode, weight } of soft.constraints) {
        const domain = node.labels[constraint.topologyKey];
        if (domain === undefined) continue;
        const count = constraint.topologyKey === hostnameLabel ? byNode.get(node.name) : counts.get(domain);
        score += (count ?? 0) * weight + (constraint.maxSkew - 1);
      }
      return Math.round(score);
    },
    normalizeScore(state, _pod, scores, nodes) {
      const ignored = state.read(softKey)?.ignored ?? new Set();
      let min = Infinity;
      let max = 0;
      for (const [i, node] of nodes.entries()) {
        if (ignored.has(node.name)) continue;
        min = Math.min(min, scores[i] ?? 0);
        max = Math.max(max, scores[i] ?? 0);
      }
      for (const [i, node] of nodes.entries()) {
        if (ignored.has(node.name)) scores[i] = 0;
        else scores[i] = max === 0 ? maxNodeScore : Math.floor((maxNodeScore * (max + min - (scores[i] ?? 0))) / max);
      }
    },
  };
}

/** `nodes` are the feasible ones; pods count wherever they run, as long as their domain has a feasible node. */
function countSoft(
  constraints: SpreadConstraint[],
  nodes: readonly NodeInfo[],
  requireAll: boolean,
  handle: Handle,
): SoftState {
  const ignored = new Set<string>();
  for (const node of nodes) if (requireAll && !hasAllKeys(node, constraints)) ignored.add(node.name);
  const states = constraints.map(constraint => {
    const { topologyKey, selection, includes } = constraint;
    const matching = handle.cache.counters.count(selection);
    const { byNode } = matching;
    if (topologyKey === hostnameLabel)
      return {
        constraint,
        counts: new Map<string, number>(),
        byNode,
        weight: Math.log(nodes.length - ignored.size + 2),
      };
    const plain = isPlain(constraint, requireAll ? constraints : [], handle)
      ? matching.inDomains(topologyKey)
      : undefined;
    const counts = new Map<string, number>();
    for (const node of nodes) {
      const domain = node.labels[topologyKey];
      if (domain !== undefined && !ignored.has(node.name)) counts.set(domain, plain?.get(domain) ?? 0);
    }
    for (const [name, count] of plain ? [] : byNode) {
      const node = handle.cache.getNode(name);
      const domain = node?.labels[topologyKey];
      const known = domain === undefined ? undefined : counts.get(domain);
      if (!node?.node || known === undefined || includes?.(node.node) === false) continue;
      if (requireAll && !hasAllKeys(node, constraints)) continue;
      counts.set(domain as string, known + count);
    }
    return { constraint, counts, byNode, weight: Math.log(counts.size + 2) };
  });
  return { constraints: states, ignored };
}

/** Keeps pods that belong together evenly spread over topology domains. */
export const podTopologySpread: PluginFactory = {
  name: 'PodTopologySpread',
  weight: 2,
  requeueOn: [
    'NodeAdd',
    'NodeLabels',
    'NodeTaints',
    'AssignedPodAdd',
    'AssignedPodDelete',
    'AssignedPodUpdate',
    'PodUpdate',
  ],
  build: handle => build(systemDefaultConstraints, handle),
  configure(args) {
    const defaults = readDefaultConstraints(args);
    return handle => build(defaults, handle);
  },
};
