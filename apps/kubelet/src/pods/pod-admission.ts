import type { Node, Pod, Stored } from '@naru/api';
import type { ResourceAdmission } from '../topology/resource-admission';
import { admit, insufficientResources, rejection, type Rejection } from './admission';
import { isCritical } from './critical-pod';
import { podGraceSeconds } from './pod-killer';
import type { PodEvents } from './pod-events';
import { podsToPreempt } from './preemption';
import type { PodWorkers } from './pod-workers';

export interface PodAdmissionDeps {
  /** What refuses a pod whatever room there is: a shutdown, pressure, its security. */
  gates: readonly ((pod: Stored<Pod>) => Rejection | undefined)[];
  node: () => Node | undefined;
  /** Reads this node's Node anew: the scheduler may know of a label or resource that this node has not heard of yet. */
  renewNode: () => Promise<void>;
  workers: () => PodWorkers;
  isStatic: (pod: Pod) => boolean;
  resources: ResourceAdmission;
  events: PodEvents;
  onPreemption: (resource: string) => void;
}

const message = 'Preempted in order to admit critical pod';

/** Decides whether this node takes a pod, and makes room for critical ones. */
export class PodAdmission {
  constructor(private readonly deps: PodAdmissionDeps) {}

  /** `accept` is called at once when the pod is taken, before anybody else can ask for the same room. */
  async admit(pod: Stored<Pod>, accept: () => void): Promise<Rejection | undefined> {
    let rejected = this.decide(pod);
    if (rejected) {
      await this.deps.renewNode();
      rejected = this.decide(pod);
    }
    if (rejected?.reason.startsWith('OutOf') && isCritical(pod)) {
      const failed = await this.makeRoom(pod);
      if (failed) return failed;
      rejected = this.decide(pod);
    }
    if (!rejected) accept();
    return rejected;
  }

  private decide(pod: Stored<Pod>): Rejection | undefined {
    const { gates, workers, isStatic, resources } = this.deps;
    for (const gate of gates) {
      const refused = gate(pod);
      if (refused) return refused;
    }
    const node = this.deps.node();
    const given = workers().given(pod.metadata.uid);
    return (node && admit(pod, node, given, isStatic(pod))) ?? resources.admit(pod);
  }

  /** Ends what stands in a critical pod's way; says why when that cannot help. */
  private async makeRoom(pod: Stored<Pod>): Promise<Rejection | undefined> {
    const { events, onPreemption } = this.deps;
    const workers = this.deps.workers();
    const others = workers.given(pod.metadata.uid);
    const shortages = insufficientResources(pod, this.deps.node() ?? {}, others);
    let victims: Pod[];
    try {
      victims = podsToPreempt(pod, others, shortages);
    } catch (error) {
      const why = `Unexpected error while attempting to recover from admission failure: ${(error as Error).message}`;
      return rejection('UnexpectedAdmissionError', why);
    }
    for (const victim of victims) {
      const worker = workers.get(victim.metadata?.uid ?? '');
      if (!worker) continue;
      events.pod(worker.current, 'Warning', 'Preempting', message);
      await worker.evict({ reason: 'Preempting', message, disruption: true }, podGraceSeconds(worker.current));
      onPreemption(shortages[0]?.name ?? '');
    }
    return undefined;
  }
}
