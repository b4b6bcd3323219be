import type { PodInfo } from '../cache/pod-info';
import type { NodeInfo } from '../cache/node-info';
import type { SchedulerCache } from '../cache/scheduler-cache';
import { CycleState } from './cycle-state';
import type { Extenders } from '../extenders/extenders';
import type { Framework, NodeScore } from './framework';
import type { Nominator } from './nominator';
import type { Trial } from './trial';
import type { Diagnosis } from './types';

/** Below this many nodes all are looked at. Source: upstream's minFeasibleNodesToFind. */
const minFeasibleNodes = 100;

/** How many feasible nodes are enough. `percentage` 0 adapts to the cluster: 50 % and less the larger it is, 5 % at least. */
export function feasibleNodesToFind(nodeCount: number, percentage: number): number {
  if (nodeCount < minFeasibleNodes) return nodeCount;
  const adaptive = percentage > 0 ? percentage : Math.max(50 - Math.floor(nodeCount / 125), 5);
  return Math.max(Math.floor((nodeCount * Math.min(adaptive, 100)) / 100), minFeasibleNodes);
}

export type Selection = { state: CycleState; nodeName: string } | { state: CycleState; diagnosis: Diagnosis };

export interface NodeSelectorDeps {
  cache: SchedulerCache;
  framework: Framework;
  nominator: Nominator;
  extenders: Extenders;
  percentageOfNodesToScore: number;
  /** 0 ≤ x < 1; chooses among equals. */
  random: () => number;
}

/** Chooses a node for a pod: filters, scores, and takes one of the best. Pure but for where the next search begins. */
export class NodeSelector {
  private nextStart = 0;

  constructor(private readonly deps: NodeSelectorDeps) {}

  /** At once, unless an extender has to be asked. */
  select(pod: PodInfo): Selection | Promise<Selection> {
    const { cache, framework, extenders } = this.deps;
    const nodes = cache.nodeList();
    const state = new CycleState();
    const diagnosis: Diagnosis = { nodeCount: nodes.length, nodeStatuses: new Map(), plugins: new Set() };
    const nominated = this.nominatedNode(pod);
    if (nominated) return { state, nodeName: nominated };
    const candidates = nodes.length === 0 ? undefined : framework.runPreFilter(state, pod, nodes, diagnosis);
    const feasible = candidates ? this.findFeasible(state, pod, candidates, diagnosis) : [];
    if (feasible.length > 0 && extenders.decideAbout(pod)) return this.selectWith(state, pod, feasible, diagnosis);
    if (feasible.length === 0) return this.explain(state, pod, diagnosis);
    return { state, nodeName: this.best(state, pod, feasible) };
  }

  private async selectWith(
    state: CycleState,
    pod: PodInfo,
    feasible: readonly NodeInfo[],
    diagnosis: Diagnosis,
  ): Promise<Selection> {
    const { extenders } = this.deps;
    const accepted = await extenders.filter(pod, feasible, diagnosis);
    if (accepted.length === 0) return this.explain(state, pod, diagnosis);
    const scores = accepted.length > 1 ? await extenders.score(pod, accepted) : new Map<string, number>();
    // A node may have gone meanwhile.
    const left = accepted.filter(({ node }) => node !== undefined);
    if (left.length === 0) return this.explain(state, pod, diagnosis);
    return { state, nodeName: this.best(state, pod, left, scores) };
  }

  /** No node: the plugins may make room. */
  private explain(state: CycleState, pod: PodInfo, diagnosis: Diagnosis): Selection | Promise<Selection> {
    const waiting = this.deps.framework.runPostFilter(state, pod, diagnosis);
    const selection = { state, diagnosis };
    return waiting ? waiting.then(() => selection) : selection;
  }

  /** The node that was cleared for the pod, if it fits there now: no other is looked at. */
  private nominatedNode(pod: PodInfo): string | undefined {
    const { cache, framework, nominator } = this.deps;
    const name = nominator.nodeOf(pod.uid);
    const node = name === undefined ? undefined : cache.getNode(name);
    return node && !framework.prepareTrial(pod)(node) ? node.name : undefined;
  }

  /** Goes on where the last search ended, so that all nodes get their turn although only some are looked at. */
  private findFeasible(state: CycleState, pod: PodInfo, nodes: readonly NodeInfo[], diagnosis: Diagnosis): NodeInfo[] {
    const enough = feasibleNodesToFind(nodes.length, this.deps.percentageOfNodesToScore);
    const { framework, nominator } = this.deps;
    const filters = framework.activeFilters(state);
    const feasible: NodeInfo[] = [];
    let trial: Trial | undefined;
    let looked = 0;
    while (looked < nodes.length && feasible.length < enough) {
      const node = nodes[(this.nextStart + looked++) % nodes.length] as NodeInfo;
      let fits = true;
      for (const { name, plugin } of filters) {
        const status = plugin.filter(state, pod, node);
        if (!status) continue;
        diagnosis.nodeStatuses.set(node.name, status);
        diagnosis.plugins.add(name);
        fits = false;
        break;
      }
      // Others wait for the room that is being made there.
      const contested = fits && !nominator.isEmpty && nominator.rivals(pod, node.name).length > 0;
      const refused = contested ? (trial ??= framework.prepareTrial(pod))(node) : undefined;
      if (refused) {
        diagnosis.nodeStatuses.set(node.name, refused);
        diagnosis.plugins.add('NodeResourcesFit');
      } else if (fits) feasible.push(node);
    }
    this.nextStart = (this.nextStart + looked) % nodes.length;
    return feasible;
  }

  private best(
    state: CycleState,
    pod: PodInfo,
    nodes: readonly NodeInfo[],
    more: ReadonlyMap<string, number> = noScores,
  ): string {
    const [only, second] = nodes;
    if (only && !second) return only.name;
    let best: NodeScore | undefined;
    let equals = 0;
    for (const candidate of this.deps.framework.runScore(state, pod, nodes)) {
      if (more.size > 0) candidate.score += more.get(candidate.node.name) ?? 0;
      if (!best || candidate.score > best.score) {
        best = candidate;
        equals = 1;
      } else if (candidate.score === best.score && this.deps.random() * ++equals < 1) best = candidate;
    }
    return (best as NodeScore).node.name;
  }
}

const noScores: ReadonlyMap<string, number> = new Map();
