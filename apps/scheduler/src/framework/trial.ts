import type { NodeInfo } from '../cache/node-info';
import type { PodInfo } from '../cache/pod-info';
import type { SchedulerCache } from '../cache/scheduler-cache';
import { CycleState } from './cycle-state';
import type { Nominator } from './nominator';
import type { With } from './plugin-points';
import { unresolvable, type Status } from './status';
import type { PreFilterResult } from './types';

/** Would the pod fit on the node as the cache is now? Undefined: it would. */
export type Trial = (node: NodeInfo) => Status | undefined;

export interface TrialDeps {
  cache: SchedulerCache;
  nominator: Nominator;
  preFilters: readonly With<'preFilter'>[];
  filters: readonly With<'filter'>[];
}

/** What a preFilter plugin said that concerns the nodes. */
interface Answer {
  name: string;
  result: Status | PreFilterResult;
}

/**
 * Prepares to ask about many nodes, or about one again and again while pods are taken off it, within one turn: what plugins work
 * out about the pod alone is worked out here, once. The pod must fit both with and without the pods that are nominated for the node.
 */
export function prepareTrial({ cache, nominator, preFilters, filters }: TrialDeps, pod: PodInfo): Trial {
  const state = new CycleState();
  const ask = (plugins: readonly With<'preFilter'>[]): Answer[] => {
    const answers: Answer[] = [];
    for (const { name, plugin } of plugins) {
      const result = plugin.preFilter(state, pod, cache.nodeList());
      const isSkipped = result !== undefined && 'code' in result && result.code === 'Skip';
      if (isSkipped) state.skipFilter.add(name);
      else state.skipFilter.delete(name);
      if (result && !isSkipped) answers.push({ name, result });
    }
    return answers;
  };

  const [counting, constant] = [true, false].map(counts =>
    preFilters.filter(({ plugin }) => (plugin.preFilterCountsPods ?? false) === counts),
  ) as [With<'preFilter'>[], With<'preFilter'>[]];
  const lasting = ask(constant);
  ask(counting);
  const isActive = ({ name }: { name: string }): boolean => !state.skipFilter.has(name);
  // As upstream, who is out of it from the start stays out while pods only go. Pods that come may bring terms of their own.
  const activeCounting = counting.filter(isActive);
  const activeFilters = filters.filter(isActive);

  const filterNode = (node: NodeInfo, again: readonly With<'preFilter'>[], all: readonly With<'filter'>[]) => {
    const refused = refusalOf(lasting, node) ?? (again.length > 0 ? refusalOf(ask(again), node) : undefined);
    if (refused) return refused;
    for (const { name, plugin } of all) {
      const status = state.skipFilter.has(name) ? undefined : plugin.filter(state, pod, node);
      if (status) return status;
    }
    return undefined;
  };

  return node => {
    const rivals = nominator.isEmpty ? [] : nominator.rivals(pod, node.name).filter(({ uid }) => !cache.isPlaced(uid));
    if (rivals.length === 0) return filterNode(node, activeCounting, activeFilters);
    const withdraw = rivals.map(rival => cache.lend(rival, node.name));
    try {
      const refused = filterNode(node, counting, filters);
      if (refused) return refused;
    } finally {
      for (const undo of withdraw) undo();
    }
    return filterNode(node, counting, filters);
  };
}

function refusalOf(answers: readonly Answer[], node: NodeInfo): Status | undefined {
  for (const { name, result } of answers) {
    if (!('nodeNames' in result)) return result;
    if (!result.nodeNames.has(node.name)) return unresolvable(`node(s) didn't satisfy plugin(s) [${name}]`);
  }
  return undefined;
}
