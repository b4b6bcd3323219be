import type { Container, Pod } from '@naru/api';
import { rejection, type Rejection } from '../pods/admission';
import { SMTAlignmentError, type CpuManager } from './cpu-manager';
import type { MemoryManager } from './memory-manager';
import type { TopologyManager } from './topology-manager';

/** Gives a pod what is given to single containers, or says why it cannot be had. Source: topologymanager/scope.go. */
export class ResourceAdmission {
  constructor(private readonly deps: { cpus: CpuManager; memory: MemoryManager; topology: TopologyManager }) {}

  /** A pod that has been admitted before keeps what it has. */
  admit(pod: Pod): Rejection | undefined {
    const rejected = this.firstObstacle(pod);
    if (rejected) this.release(pod.metadata?.uid ?? '');
    return rejected;
  }

  private firstObstacle(pod: Pod): Rejection | undefined {
    for (const container of [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])]) {
      const rejected = this.give(pod, container);
      if (rejected) return rejected;
    }
    return undefined;
  }

  private give(pod: Pod, container: Container): Rejection | undefined {
    const { cpus, memory, topology } = this.deps;
    const uid = pod.metadata?.uid ?? '';
    if (!topology.align(pod, container)) {
      return rejection('TopologyAffinityError', 'Resources cannot be allocated with Topology locality');
    }
    try {
      cpus.allocate(pod, container, topology.affinity(uid, container.name));
      memory.allocate(pod, container, topology.hint(uid, container.name));
      return undefined;
    } catch (error) {
      const { message } = error as Error;
      if (error instanceof SMTAlignmentError) return rejection('SMTAlignmentError', message);
      return rejection('UnexpectedAdmissionError', `Allocate failed due to ${message}, which is unexpected`);
    }
  }

  release(uid: string): void {
    const { cpus, memory, topology } = this.deps;
    for (const manager of [cpus, memory, topology]) manager.release(uid);
  }

  /** Takes back what pods have that are not here any more. */
  retain(isHere: (uid: string) => boolean): void {
    const { cpus, memory } = this.deps;
    for (const manager of [cpus, memory]) manager.retain(isHere);
  }
}
