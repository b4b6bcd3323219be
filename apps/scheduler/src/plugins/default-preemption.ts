import type { NodeInfo } from '../cache/node-info';
import type { PodInfo } from '../cache/pod-info';
import type { ConfigNode } from '../config/config-node';
import { argumentFields } from '../config/plugin-args';
import { describeDiagnosis } from '../framework/fit-error';
import { priorityOf } from '../framework/nominator';
import { unschedulable, type Status } from '../framework/status';
import type { Diagnosis, Handle, Plugin, PluginFactory, PostFilterResult } from '../framework/types';
import { Budgets } from '../preemption/budgets';
import { chooseCandidate, findVictims, type Candidate } from '../preemption/candidates';

const noVictims = unschedulable('No preemption victims found for incoming pod');
const notHelpful = unschedulable('Preemption is not helpful for scheduling');

/** How many nodes are tried: a part of all, and so many at least. Upstream's names and defaults. */
interface PreemptionArguments {
  minCandidateNodesPercentage: number;
  minCandidateNodesAbsolute: number;
}

const defaults: PreemptionArguments = { minCandidateNodesPercentage: 10, minCandidateNodesAbsolute: 100 };

function readArguments(args: ConfigNode): PreemptionArguments {
  const fields = argumentFields(args, 'minCandidateNodesPercentage', 'minCandidateNodesAbsolute');
  const given = {
    minCandidateNodesPercentage: fields.minCandidateNodesPercentage.integer({ min: 0, max: 100, fallback: 10 }),
    minCandidateNodesAbsolute: fields.minCandidateNodesAbsolute.integer({ min: 0, max: 2 ** 31 - 1, fallback: 100 }),
  };
  if (given.minCandidateNodesPercentage === 0 && given.minCandidateNodesAbsolute === 0)
    fields.minCandidateNodesPercentage.fail('cannot be zero at the same time as minCandidateNodesAbsolute');
  return given;
}

function candidateCount(nodes: number, args: PreemptionArguments): number {
  const part = Math.floor((nodes * args.minCandidateNodesPercentage) / 100);
  return Math.min(nodes, Math.max(part, args.minCandidateNodesAbsolute));
}

/** Why the pod may not preempt others now. */
function obstacle({ cache, nominator }: Handle, pod: PodInfo, { nodeStatuses }: Diagnosis): string | undefined {
  if (pod.pod.spec?.preemptionPolicy === 'Never') return 'not eligible due to preemptionPolicy=Never.';
  const nodeName = nominator.nodeOf(pod.uid);
  const node = nodeName === undefined ? undefined : cache.getNode(nodeName);
  if (!node || nodeStatuses.get(node.name)?.code === 'UnschedulableAndUnresolvable') return undefined;
  const leaving = [...node.pods.values()].some(
    other => other.pod.metadata.deletionTimestamp && priorityOf(other) < priorityOf(pod),
  );
  return leaving ? 'not eligible due to a terminating pod on the nominated node.' : undefined;
}

function build(args: PreemptionArguments, handle: Handle): Plugin {
  const { cache, listers, nominator, random, evict } = handle;
  const budgets = new Budgets(namespace => listers.budgets.list(namespace));

  const conclude = (
    pod: PodInfo,
    candidates: readonly Candidate[],
    refusals: ReadonlyMap<string, Status>,
  ): PostFilterResult => {
    const chosen = chooseCandidate(candidates);
    if (!chosen) {
      const nodes = cache.nodeList();
      const nodeStatuses = new Map(nodes.map(({ name }) => [name, refusals.get(name) ?? notHelpful] as const));
      const why = describeDiagnosis({ nodeCount: nodes.length, nodeStatuses, plugins: new Set() });
      return { nominatedNode: '', message: `preemption: ${why}` };
    }
    for (const victim of chosen.victims) evict(victim, pod, chosen.nodeName);
    // The room is not theirs any more: they look for another node.
    for (const other of nominator.on(chosen.nodeName))
      if (priorityOf(other) < priorityOf(pod)) nominator.remove(other.uid);
    return { nominatedNode: chosen.nodeName };
  };

  return {
    postFilter(_state, pod, diagnosis) {
      const reason = obstacle(handle, pod, diagnosis);
      if (reason) return { message: `preemption: ${reason}` };
      const nodes = cache.nodeList();
      const helpful = nodes.filter(({ name }) => diagnosis.nodeStatuses.get(name)?.code === 'Unschedulable');
      const outcome =
        cache.lowestPriority < priorityOf(pod)
          ? tryNodes(handle, pod, helpful, budgets, {
              enough: candidateCount(helpful.length, args),
              offset: Math.floor(random() * helpful.length),
            })
          : { candidates: [], refusals: new Map(helpful.map(({ name }) => [name, noVictims] as const)) };
      const { candidates, refusals } = outcome;
      if (candidates.length > 0 && handle.extenders.decideVictimsFor(pod))
        return handle.extenders.agree(pod, candidates).then(agreed => conclude(pod, agreed, refusals));
      return conclude(pod, candidates, refusals);
    },
  };
}

function tryNodes(
  { cache, prepareTrial }: Handle,
  pod: PodInfo,
  nodes: readonly NodeInfo[],
  budgets: Budgets,
  { enough, offset }: { enough: number; offset: number },
): { candidates: Candidate[]; refusals: Map<string, Status> } {
  const trial = prepareTrial(pod);
  const candidates: Candidate[] = [];
  const refusals = new Map<string, Status>();
  let clean = false;
  for (let i = 0; i < nodes.length; i++) {
    // One without violations is needed; among enough of them the best is chosen.
    if (candidates.length >= enough && clean) break;
    const node = nodes[(offset + i) % nodes.length] as NodeInfo;
    const found = findVictims({ cache, trial, budgets }, pod, node);
    if (found && 'victims' in found) {
      candidates.push(found);
      clean ||= found.violations === 0;
    } else refusals.set(node.name, found ?? noVictims);
  }
  return { candidates, refusals };
}

/** Makes room for a pod that fits nowhere by deleting less important ones. */
export const defaultPreemption: PluginFactory = {
  name: 'DefaultPreemption',
  requeueOn: [],
  build: handle => build(defaults, handle),
  configure(args) {
    const given = readArguments(args);
    return handle => build(given, handle);
  },
};
