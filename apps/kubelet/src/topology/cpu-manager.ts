import { hasPodLevelResources, qosClassOf, quantityMilliValue, type Container, type Pod } from '@naru/api';
import type { cri } from '@naru/proto';
import { isSidecar } from '../pods/restart-rule';
import { difference, formatCpuSet, union, type CpuSet } from './cpu-set';
import { CpuState } from './cpu-state';
import type { CpuTopology } from './cpu-topology';
import { hintsFor, type Hint, type HintProvider } from './hints';
import { requireCpus, takeCpus } from './take-cpus';
import { ofWholePod } from './whole-pod';

/** A pod's processors cannot be whole cores; upstream's reason is the name. */
export class SMTAlignmentError extends Error {}

export interface CpuManagerDeps {
  policy: 'none' | 'static';
  topology: CpuTopology;
  /** For the system and the node's agents; never given to one container alone. */
  reserved: CpuSet;
  options: { fullCoresOnly: boolean; strictReservation: boolean; acrossCores: boolean };
  /** ROOT/cpu_manager_state. */
  file: string;
  /** What containers share has changed. */
  onChange: () => void;
}

/** The processors that a container gets to itself: those of a Guaranteed pod that asks for whole ones by its containers. */
export function exclusiveCpus(pod: Pod, container: Container): number {
  if (qosClassOf(pod) !== 'Guaranteed' || hasPodLevelResources(pod)) return 0;
  const { requests, limits } = container.resources ?? {};
  const milli = quantityMilliValue(requests?.['cpu'] ?? limits?.['cpu'] ?? '0');
  return milli % 1_000 === 0 ? milli / 1_000 : 0;
}

/** Gives processors to single containers, and tells all others what is left to share. Source: pkg/kubelet/cm/cpumanager. */
export class CpuManager implements HintProvider {
  private readonly state: CpuState;

  /** Throws, with upstream's advice, when what was given before does not fit this machine or policy. */
  constructor(private readonly deps: CpuManagerDeps) {
    const { file, policy, topology, reserved, options } = deps;
    const everything = options.strictReservation ? difference(topology.all, reserved) : topology.all;
    this.state = new CpuState({ file, policy, everything });
  }

  get isStatic(): boolean {
    return this.deps.policy === 'static';
  }

  private free(pod: Pod): Set<number> {
    return union(difference(this.state.shared, this.deps.reserved), this.reusable(pod));
  }

  /** What init containers of the pod have had, and no container that runs beside others. */
  private reusable(pod: Pod): Set<number> {
    const uid = pod.metadata?.uid ?? '';
    const of = (containers: Container[]): Set<number> =>
      union(...containers.map(({ name }) => this.state.get(uid, name) ?? new Set<number>()));
    const init = pod.spec?.initContainers ?? [];
    const lasting = of([...init.filter(isSidecar), ...(pod.spec?.containers ?? [])]);
    return difference(of(init.filter(each => !isSidecar(each))), lasting);
  }

  hints(pod: Pod, container: Container | undefined): Map<string, Hint[] | undefined> {
    const wanted = container ? exclusiveCpus(pod, container) : ofWholePod(pod, each => exclusiveCpus(pod, each));
    if (!this.isStatic || wanted === 0) return new Map();
    const { topology } = this.deps;
    const had = container && this.state.get(pod.metadata?.uid ?? '', container.name);
    const free = had ?? this.free(pod);
    return new Map([
      [
        'cpu',
        hintsFor(topology.nodes, wanted, {
          all: nodes => topology.inNodes(topology.all, nodes).size,
          free: nodes => topology.inNodes(free, nodes).size,
        }),
      ],
    ]);
  }

  /** Gives a container its processors, from these NUMA nodes first; the same again if it has them. Throws when it cannot. */
  allocate(pod: Pod, container: Container, nodes: readonly number[] | undefined): void {
    const wanted = exclusiveCpus(pod, container);
    const uid = pod.metadata?.uid ?? '';
    if (!this.isStatic || wanted === 0 || this.state.get(uid, container.name)) return;
    const { topology, options, onChange } = this.deps;
    const threads = topology.threadsPerCore;
    if (options.fullCoresOnly && wanted % threads !== 0) {
      throw new SMTAlignmentError(
        `SMT Alignment Error: requested ${wanted} cpus not multiple cpus per core = ${threads}`,
      );
    }
    const free = this.free(pod);
    requireCpus(free, wanted);
    const near = nodes ? topology.inNodes(free, nodes) : free;
    const first = takeCpus(topology, near, Math.min(wanted, near.size), options.acrossCores);
    const rest = takeCpus(topology, difference(free, first), wanted - first.size, options.acrossCores);
    this.state.set(uid, container.name, union(first, rest));
    onChange();
  }

  release(uid: string): void {
    if (this.state.remove(uid)) this.deps.onChange();
  }

  /** Takes back what pods have that are not here any more. */
  retain(isHere: (uid: string) => boolean): void {
    for (const uid of this.state.pods()) if (!isHere(uid)) this.release(uid);
  }

  /** Some container of the pod has processors to itself. */
  isExclusive(uid: string): boolean {
    return this.state.pods().includes(uid);
  }

  /** Where a container may run, as the kernel writes it; empty: anywhere. */
  cpusOf(uid: string, container: string): string {
    if (!this.isStatic) return '';
    return formatCpuSet(this.state.get(uid, container) ?? this.state.shared);
  }

  /** A container's limits with its processors: who has some to himself is not held to a share of them. */
  apply(uid: string, container: string, resources: cri.LinuxContainerResources): cri.LinuxContainerResources {
    if (!this.isStatic) return resources;
    const cpusetCpus = this.cpusOf(uid, container);
    return { ...resources, cpusetCpus, ...(this.state.get(uid, container) ? { cpuQuota: -1n } : {}) };
  }
}
