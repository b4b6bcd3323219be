import type { NodeInfo } from '../cache/node-info';
import type { PodInfo } from '../cache/pod-info';
import type { ConfigNode } from '../config/config-node';
import { argumentFields } from '../config/plugin-args';
import { isByClaim } from '../devices/extended-resources';
import { unresolvable, unschedulable, type Status } from '../framework/status';
import type { Handle, Plugin, PluginFactory } from '../framework/types';
import { defaultStrategy, readStrategy, scoreResources, type ScoringStrategy } from './resource-scoring';

/** What a node lacks for a pod, in bits, so that asking about thousands of nodes allocates nothing; 0: nothing. */
const lacksPods = 1;
const lacksCpu = 2;
const lacksMemory = 4;
const lacksEphemeralStorage = 8;
/** Of a resource that has no bit of its own. */
const lacksScalar = 16;
/** The pod asks for more than the whole node has: other pods need not go for it. */
const isBeyond = 32;

/** What a node lacks of a resource is no reason against it: others see to that resource. */
type IsElsewhere = (name: string, node: NodeInfo) => boolean;

const combinations = new Map<string | number, Status>();
const maxCombinations = 256;

/** The combinations of reasons are few and come once per node: shared. */
function refusal(lack: number, pod: PodInfo, node: NodeInfo, isElsewhere: IsElsewhere): Status {
  const scalars = lack & lacksScalar ? missingScalars(pod, node, isElsewhere) : [];
  const id = scalars.length > 0 ? `${lack} ${scalars.join()}` : lack;
  const known = combinations.get(id);
  if (known) return known;
  if (combinations.size >= maxCombinations) combinations.clear();
  const reasons = [
    ...(lack & lacksPods ? ['Too many pods'] : []),
    ...(lack & lacksCpu ? ['Insufficient cpu'] : []),
    ...(lack & lacksMemory ? ['Insufficient memory'] : []),
    ...(lack & lacksEphemeralStorage ? ['Insufficient ephemeral-storage'] : []),
    ...scalars.map(name => `Insufficient ${name}`),
  ];
  const status = lack & isBeyond ? unresolvable(...reasons) : unschedulable(...reasons);
  combinations.set(id, status);
  return status;
}

function lackOf(bit: number, wanted: number, used: number, present: number): number {
  if (wanted <= 0 || wanted <= present - used) return 0;
  return wanted > present ? bit | isBeyond : bit;
}

function lackOfScalar(name: string, amount: number, { requested, allocatable }: NodeInfo): number {
  return lackOf(lacksScalar, amount, requested.scalars?.get(name) ?? 0, allocatable.scalars?.get(name) ?? 0);
}

function missingScalars({ requests }: PodInfo, node: NodeInfo, isElsewhere: IsElsewhere): string[] {
  const wanted = [...(requests.scalars ?? noScalars)];
  return wanted
    .filter(([name, amount]) => lackOfScalar(name, amount, node) && !isElsewhere(name, node))
    .map(([name]) => name);
}

function lacks({ requests }: PodInfo, node: NodeInfo, isElsewhere: IsElsewhere): number {
  const { requested, allocatable } = node;
  let lack =
    (node.pods.size + 1 > node.allowedPods ? lacksPods : 0) |
    lackOf(lacksCpu, requests.cpu, requested.cpu, allocatable.cpu) |
    lackOf(lacksMemory, requests.memory, requested.memory, allocatable.memory) |
    lackOf(lacksEphemeralStorage, requests.ephemeralStorage, requested.ephemeralStorage, allocatable.ephemeralStorage);
  if (requests.scalars)
    for (const [name, amount] of requests.scalars) {
      const own = lackOfScalar(name, amount, node);
      if (own !== 0 && !isElsewhere(name, node)) lack |= own;
    }
  return lack;
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
  const isElsewhere: IsElsewhere = (name, node) =>
    ignored.has(name) ||
    ignoredGroups.has(name.split('/', 1)[0] ?? '') ||
    isByClaim(name, node, handle.devices.classes);
  return {
    filter(_state, pod, node) {
      const lack = lacks(pod, node, isElsewhere);
      return lack === 0 ? undefined : refusal(lack, pod, node, isElsewhere);
    },
    score: (_state, pod, node) => scoreResources(strategy, pod, node),
  };
}

/** Requests must fit into what is allocatable; how full the node gets decides its score (LeastAllocated by default). */
export const nodeResourcesFit: PluginFactory = {
  name: 'NodeResourcesFit',
  requeueOn: [
    ...(['NodeAdd', 'NodeAllocatable', 'AssignedPodDelete', 'AssignedPodUpdate', 'PodUpdate'] as const),
    'DeviceClassChange',
  ],
  // What the node does not count at all, drivers may provide.
  isHelped: (pod, { node }) =>
    !node || lacks(pod, node, (name, { allocatable }) => !allocatable.scalars?.get(name)) === 0,
  build: handle => build(defaults, handle),
  configure(args) {
    const given = readArguments(args);
    return handle => build(given, handle);
  },
};
