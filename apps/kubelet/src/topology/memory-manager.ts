import { qosClassOf, quantityValue, type Container, type Pod } from '@naru/api';
import type { cri } from '@naru/proto';
import { hugePagesPrefix } from '../node/huge-pages';
import { isSidecar } from '../pods/restart-rule';
import { formatCpuSet } from './cpu-set';
import { combinations, type Hint, type HintProvider } from './hints';
import { MemoryState, type MachineState, type MemoryBlock } from './memory-state';
import type { NumaMemory } from './numa-memory';
import { ofWholePod } from './whole-pod';

export interface MemoryManagerDeps {
  policy: 'None' | 'Static';
  memory: readonly NumaMemory[];
  /** NUMA node → resource → bytes that are kept from pods. */
  reserved: ReadonlyMap<number, ReadonlyMap<string, number>>;
  /** ROOT/memory_manager_state. */
  file: string;
}

/** Resource → bytes. */
type Request = ReadonlyMap<string, number>;

/** Some NUMA nodes, all that a hint names. */
interface Place extends Hint {
  nodes: readonly number[];
}

/** Memory and huge pages that a container asks for. */
function requestOf({ resources }: Container): Request {
  const amounts = { ...resources?.limits, ...resources?.requests };
  return new Map(
    Object.entries(amounts)
      .filter(([name]) => name === 'memory' || name.startsWith(hugePagesPrefix))
      .map(([name, text]) => [name, quantityValue(text)]),
  );
}

function requestOfPod(pod: Pod): Request {
  const containers = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
  const names = new Set(containers.flatMap(each => [...requestOf(each).keys()]));
  return new Map([...names].map(name => [name, ofWholePod(pod, each => requestOf(each).get(name) ?? 0)]));
}

const same = (a: readonly number[], b: readonly number[]): boolean => a.join() === b.join();

/** Gives memory of NUMA nodes to containers of Guaranteed pods. Source: pkg/kubelet/cm/memorymanager/policy_static.go. */
export class MemoryManager implements HintProvider {
  private readonly state: MemoryState;

  /** Throws, with upstream's advice, when what was given before does not fit this machine or policy. */
  constructor(private readonly deps: MemoryManagerDeps) {
    this.state = new MemoryState(deps);
  }

  get isStatic(): boolean {
    return this.deps.policy === 'Static';
  }

  private serves(pod: Pod): boolean {
    // Upstream leaves pods with resources of their own alone.
    return this.isStatic && qosClassOf(pod) === 'Guaranteed' && pod.spec?.resources === undefined;
  }

  hints(pod: Pod, container: Container | undefined): Map<string, Hint[] | undefined> {
    if (!this.serves(pod)) return new Map();
    const request = container ? requestOf(container) : requestOfPod(pod);
    const uid = pod.metadata?.uid ?? '';
    const all = container ? [container] : [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
    const [had] = all.flatMap(({ name }) => this.state.get(uid, name) ?? []);
    const hints: Hint[] = had ? [{ nodes: had.numaAffinity, preferred: true }] : this.places(pod, request);
    // As upstream: with no way at all it has no preference, and says so when it is to give.
    return new Map(hints.length === 0 ? [] : [...request.keys()].map(name => [name, hints]));
  }

  /** Sets of NUMA nodes that a request can be met from, the best first. A node serves either alone or always with the same others. */
  private places(pod: Pod, request: Request): Place[] {
    const { machine } = this.state;
    const large = combinations(this.deps.memory.map(({ id }) => id)).filter(nodes =>
      [...request].every(([name, size]) => sum(machine, nodes, name, 'allocatable') >= size),
    );
    const smallest = large[0]?.length;
    return large
      .filter(nodes => (nodes.length > 1 ? !mixes(machine, nodes) : machine[nodes[0] ?? -1]?.cells.length === 1))
      .filter(nodes =>
        [...request].every(
          ([name, size]) => sum(machine, nodes, name, 'free') + this.reusable(pod, nodes, name) >= size,
        ),
      )
      .map(nodes => ({ nodes, preferred: nodes.length === smallest }));
  }

  /** What init containers of the pod have had of these nodes, and no container that runs beside others has taken over. */
  private reusable(pod: Pod, nodes: readonly number[], type: string): number {
    return this.finishing(pod)
      .flatMap(([, blocks]) => blocks)
      .filter(block => block.type === type && same(block.numaAffinity, nodes))
      .reduce((total, { size }) => total + size, 0);
  }

  private finishing(pod: Pod): [string, readonly MemoryBlock[]][] {
    const uid = pod.metadata?.uid ?? '';
    return (pod.spec?.initContainers ?? [])
      .filter(each => !isSidecar(each))
      .map(({ name }) => [name, this.state.get(uid, name) ?? []]);
  }

  /** Gives a container its memory, from where the topology manager wants it; the same again if it has it. Throws when it cannot. */
  allocate(pod: Pod, container: Container, hint: Hint | undefined): void {
    const uid = pod.metadata?.uid ?? '';
    if (!this.serves(pod) || this.state.get(uid, container.name)) return;
    const request = requestOf(container);
    const nodes = this.choose(pod, request, hint);
    const blocks = [...request].map(([type, size]) => ({ numaAffinity: nodes, type, size }));
    this.state.set(uid, [...this.handedOn(pod, blocks), [container.name, blocks]]);
  }

  private choose(pod: Pod, request: Request, hint: Hint | undefined): readonly number[] {
    const { machine } = this.state;
    const refuse = (problem: string): never => {
      throw new Error(`[memorymanager] ${problem}`);
    };
    const best = (within: readonly number[], none: string, worse: string): Place => {
      const [place] = this.places(pod, request).filter(({ nodes }) => within.every(node => nodes.includes(node)));
      if (!place) return refuse(none);
      return !place.preferred && hint?.preferred ? refuse(worse) : place;
    };
    const nodes =
      hint?.nodes ??
      best(
        [],
        'failed to get the default NUMA affinity, no NUMA nodes with enough memory is available',
        'failed to find the default preferred hint',
      ).nodes;
    const isEnough = [...request].every(([name, size]) => sum(machine, nodes, name, 'free') >= size);
    const chosen = isEnough
      ? nodes
      : best(
          nodes,
          'failed to find NUMA nodes to extend the current topology hint',
          'failed to find the extended preferred hint',
        ).nodes;
    if (chosen.length > 1 && mixes(machine, chosen)) refuse('preferred hint violates NUMA node allocation');
    return chosen;
  }

  /** What is left to init containers, whose memory a container that follows takes over: so the sum stays what the pod has. */
  private handedOn(pod: Pod, blocks: readonly MemoryBlock[]): [string, readonly MemoryBlock[]][] {
    const wanted = new Map(blocks.map(({ type, size }) => [type, size]));
    return this.finishing(pod).map(([name, own]) => [
      name,
      own.map(block => {
        const taker = blocks.find(
          ({ type, numaAffinity }) => type === block.type && same(numaAffinity, block.numaAffinity),
        );
        const taken = taker ? Math.min(block.size, wanted.get(block.type) ?? 0) : 0;
        wanted.set(block.type, (wanted.get(block.type) ?? 0) - taken);
        return { ...block, size: block.size - taken };
      }),
    ]);
  }

  release(uid: string): void {
    this.state.remove(uid);
  }

  /** Takes back what pods have that are not here any more. */
  retain(isHere: (uid: string) => boolean): void {
    for (const uid of this.state.pods()) if (!isHere(uid)) this.release(uid);
  }

  /** A container's limits with the NUMA nodes that its memory comes from. */
  apply(uid: string, container: string, resources: cri.LinuxContainerResources): cri.LinuxContainerResources {
    const nodes = new Set(this.state.get(uid, container)?.flatMap(({ numaAffinity }) => numaAffinity));
    return nodes.size === 0 ? resources : { ...resources, cpusetMems: formatCpuSet(nodes) };
  }
}

function sum(machine: MachineState, nodes: readonly number[], type: string, what: 'free' | 'allocatable'): number {
  return nodes.reduce((total, node) => total + (machine[node]?.memoryMap[type]?.[what] ?? 0), 0);
}

/** Some of these nodes are used already, alone or with others than these. */
function mixes(machine: MachineState, nodes: readonly number[]): boolean {
  return nodes.some(node => {
    const { numberOfAssignments = 0, cells = [] } = machine[node] ?? {};
    return numberOfAssignments > 0 && !same(cells, nodes);
  });
}
