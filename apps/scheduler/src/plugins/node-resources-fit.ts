import type { NodeInfo } from '../cache/node-info';
import type { PodInfo } from '../cache/pod-info';
import type { ConfigNode } from '../config/config-node';
import { argumentFields } from '../config/plugin-args';
import { unresolvable, unschedulable, type Status } from '../framework/status';
import type { Handle, Plugin, PluginFactory } from '../framework/types';
import { defaultStrategy, readStrategy, scoreResources, type ScoringStrategy } from './resource-scoring';

interface Shortage {
  reasons: string[];
  /** The pod asks for more than the whole node has: other pods need not go for it. */
  beyond: boolean;
}

const combinations = new Map<string, Status>();
const maxCombinations = 256;

/** The combinations of reasons are few and come once per node: shared. */
function refusal({ reasons, beyond }: Shortage): Status {
  const id = `${beyond} ${reasons.join()}`;
  const known = combinations.get(id);
  if (known) return known;
  if (combinations.size >= maxCombinations) combinations.clear();
  const status = beyond ? unresolvable(...reasons) : unschedulable(...reasons);
  combinations.set(id, status);
  return status;
}

/** What the node lacks for the pod, in upstream's words; undefined when it fits. */
function shortages({ requests }: PodInfo, node: NodeInfo, isIgnored?: (name: string) => boolean): Shortage | undefined {
  const { requested, allocatable } = node;
  let shortage: Shortage | undefined;
  const note = (reason: string, beyond: boolean): void => {
    shortage ??= { reasons: [], beyond: false };
    shortage.reasons.push(reason);
    shortage.beyond ||= beyond;
  };
  const check = (name: string, wanted: number, used: number, present: number): void => {
    if (wanted > 0 && wanted > present - used) note(`Insufficient ${name}`, wanted > present);
  };
  if (node.pods.size + 1 > node.allowedPods) note('Too many pods', false);
  check('cpu', requests.cpu, requested.cpu, allocatable.cpu);
  check('memory', requests.memory, requested.memory, allocatable.memory);
  check('ephemeral-storage', requests.ephemeralStorage, requested.ephemeralStorage, allocatable.ephemeralStorage);
  for (const [name, amount] of requests.scalars ?? noScalars)
    if (!isIgnored?.(name)) check(name, amount, requested.scalars?.get(name) ?? 0, allocatable.scalars?.get(name) ?? 0);
  return shortage;
}

const noScalars: ReadonlyMap<string, number> = new Map();

interface FitArguments {
  strategy: ScoringStrategy;
  ignoredResources: ReadonlySet<string>;
  /** All resources of these domains are ignored. */
  ignoredGroups: ReadonlySet<string>;
}

const defaults: FitArguments = { strategy: defaultStrategy, ignoredResources: new Set(), ignoredGroups: new Set() };

function readArguments(args: ConfigNode): FitArguments {
  const fields = argumentFields(args, 'ignoredResources', 'ignoredResourceGroups', 'scoringStrategy');
  return {
    strategy: readStrategy(fields.scoringStrategy),
    ignoredResources: new Set(fields.ignoredResources.items().map(item => item.text())),
    ignoredGroups: new Set(
      fields.ignoredResourceGroups.items().map(item => {
        const group = item.text();
        return group.includes('/') ? item.fail("resource group name can't contain '/'") : group;
      }),
    ),
  };
}

function build({ strategy, ignoredResources, ignoredGroups }: FitArguments, handle: Handle): Plugin {
  const ignored = new Set([...ignoredResources, ...handle.extenders.ignoredResources]);
  const isIgnored =
    ignored.size + ignoredGroups.size > 0
      ? (name: string) => ignored.has(name) || ignoredGroups.has(name.split('/', 1)[0] ?? '')
      : undefined;
  return {
    filter(_state, pod, node) {
      const shortage = shortages(pod, node, isIgnored);
      return shortage && refusal(shortage);
    },
    score: (_state, pod, node) => scoreResources(strategy, pod, node),
  };
}

/** Requests must fit into what is allocatable; how full the node gets decides its score (LeastAllocated by default). */
export const nodeResourcesFit: PluginFactory = {
  name: 'NodeResourcesFit',
  requeueOn: ['NodeAdd', 'NodeAllocatable', 'AssignedPodDelete', 'AssignedPodUpdate', 'PodUpdate'],
  isHelped: (pod, { node }) => !node || shortages(pod, node) === undefined,
  build: handle => build(defaults, handle),
  configure(args) {
    const given = readArguments(args);
    return handle => build(given, handle);
  },
};
