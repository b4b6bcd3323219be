import { podRequests, qosClassOf, resourceAmounts, type Container, type Node, type Pod, type Stored } from '@naru/api';
import type { Logger } from '@naru/foundation';
import type { cri } from '@naru/proto';
import type { PodCgroups } from '../cgroups/pod-cgroups';
import type { CriClient } from '../cri/cri-client';
import { equalJson } from '../status/equal-json';
import { missingResource } from './admission';
import type { Allocations } from './allocations';
import type { PodEvents } from './pod-events';
import type { ContainerRecord, PodRuntime } from './runtime-state';

export interface PodResizerDeps {
  allocations: Allocations;
  client: Pick<CriClient, 'updateContainerResources' | 'listContainerStats'>;
  cgroups: PodCgroups;
  events: PodEvents;
  logger: Logger;
  node: () => Node | undefined;
  /** What the other pods of this node were given. */
  others: (uid: string) => readonly Pod[];
  isStatic: (pod: Pod) => boolean;
  /** A container's limits, and its processors. */
  resources: (pod: Pod, container: Container) => cri.LinuxContainerResources;
  /** Containers may have processors, or memory of some NUMA nodes, to themselves. */
  staticManagers: readonly ('CPU' | 'Memory')[];
}

/** How far a pod's resize has come; its conditions say so. */
export interface ResizeState {
  pending?: { reason: 'Deferred' | 'Infeasible'; message: string };
  /** Given, and not yet in effect; `error` says what keeps it from that. */
  inProgress?: { error?: string };
}

const resizable = ['cpu', 'memory'] as const;
type ResizableResource = (typeof resizable)[number];

/** The containers of a pod that can be resized while it runs. */
function resizableContainers(pod: Pod): Container[] {
  return [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
}

/** A container, or the pod as a whole. */
type Resizable = Pick<Container, 'resources'>;

function differs(a: Resizable | undefined, b: Resizable): boolean {
  const amounts = ({ resources }: Resizable): unknown => [
    ...[resources?.requests, resources?.limits].map(list => Object.fromEntries(resourceAmounts(list))),
  ];
  return a === undefined || !equalJson(amounts(a), amounts(b));
}

/** A running container and what it is to have. */
interface Change {
  record: ContainerRecord;
  wanted: cri.LinuxContainerResources;
}

/** Changes what running containers may use: judged against what the node has, written down, then carried out. */
export class PodResizer {
  private readonly states = new Map<string, ResizeState>();

  constructor(private readonly deps: PodResizerDeps) {}

  state(uid: string): ResizeState {
    return this.states.get(uid) ?? {};
  }

  forget(uid: string): void {
    this.states.delete(uid);
    this.deps.allocations.forget(uid);
  }

  /**
   * What the pod is to run with: what it asks for when this node can give it, otherwise what it was given before.
   * Source: pkg/kubelet/allocation.
   */
  settle(pod: Stored<Pod>): Stored<Pod> {
    const { allocations, events } = this.deps;
    const { uid } = pod.metadata;
    const before = allocations.allocated(pod);
    const state = this.state(uid);
    const containers = new Map(resizableContainers(before).map(each => [each.name, each]));
    const changed = resizableContainers(pod).some(each => differs(containers.get(each.name), each));
    if (!changed && !differs(before.spec, pod.spec ?? {})) {
      this.keep(uid, { ...(state.inProgress ? { inProgress: state.inProgress } : {}) });
      return before;
    }
    const pending = this.obstacle(pod);
    if (pending) {
      if (!equalJson(state.pending, pending)) {
        events.pod(pod, 'Warning', `Resize${pending.reason}`, `Pod resize ${pending.reason}: ${pending.message}`);
      }
      this.keep(uid, { ...state, pending });
      return before;
    }
    allocations.give(pod);
    this.keep(uid, { inProgress: {} });
    events.pod(pod, 'Normal', 'ResizeStarted', `Pod resize started: ${described(pod)}`);
    return pod;
  }

  /** The resource changed for which this container has to be started anew. */
  mustRestart(pod: Pod, container: Container, record: ContainerRecord): boolean {
    const changed = this.changed(pod, container, record);
    return changed.some(
      resource =>
        container.resizePolicy?.find(({ resourceName }) => resourceName === resource)?.restartPolicy ===
        'RestartContainer',
    );
  }

  /** What the container runs with is not what it was given. */
  isOutdated(pod: Pod, container: Container, record: ContainerRecord): boolean {
    return this.changed(pod, container, record).length > 0;
  }

  /** Brings a pod's cgroups and containers to what it was given; true when something changed. `pod` as `settle` left it. */
  async actuate(pod: Stored<Pod>, runtime: PodRuntime): Promise<boolean> {
    const { uid } = pod.metadata;
    const state = this.state(uid);
    const outdated = resizableContainers(pod).flatMap(container => {
      const record = runtime.containers.find(({ name, phase }) => name === container.name && phase === 'running');
      return record && this.isOutdated(pod, container, record) ? [{ container, record }] : [];
    });
    if (outdated.length === 0 && !state.inProgress) return false;
    try {
      const changes = outdated.map(({ container, record }) => ({ record, wanted: this.wanted(pod, container) }));
      await this.checkMemory(pod, changes);
      // The pod's own limits make room first, and close in when its containers have done so.
      await this.tryCgroups(pod);
      for (const { record, wanted } of changes) await this.deps.client.updateContainerResources(record.id, wanted);
      await this.deps.cgroups.create(pod);
    } catch (error) {
      const { message } = error as Error;
      if (state.inProgress?.error !== message) this.deps.events.pod(pod, 'Warning', 'ResizeError', message);
      this.keep(uid, { ...state, inProgress: { error: message } });
      return false;
    }
    if (outdated.length > 0) {
      this.keep(uid, { ...state, inProgress: {} });
      return true;
    }
    const { pending } = state;
    this.keep(uid, pending ? { pending } : {});
    this.deps.events.pod(pod, 'Normal', 'ResizeCompleted', `Pod resize completed: ${described(pod)}`);
    return false;
  }

  private keep(uid: string, state: ResizeState): void {
    if (state.pending || state.inProgress) this.states.set(uid, state);
    else this.states.delete(uid);
  }

  private obstacle(pod: Stored<Pod>): ResizeState['pending'] {
    const { node, others, isStatic, staticManagers } = this.deps;
    const [manager] = staticManagers;
    if (manager && qosClassOf(pod) === 'Guaranteed') {
      const message = `Resize is infeasible for Guaranteed Pods alongside ${manager} Manager static policy`;
      return { reason: 'Infeasible', message };
    }
    if (isStatic(pod)) return { reason: 'Infeasible', message: 'In-place resize of static-pods is not supported' };
    const current = node();
    if (!current) return undefined;
    const requests = podRequests(pod);
    const allocatable = resourceAmounts(current.status?.allocatable);
    for (const name of ['memory', 'cpu']) {
      const [requested = 0, capacity = 0] = [requests.get(name), allocatable.get(name)];
      if (requested <= capacity) continue;
      const message = `Node didn't have enough capacity: ${name}, requested: ${requested}, capacity: ${capacity}`;
      return { reason: 'Infeasible', message };
    }
    const missing = missingResource(pod, current, others(pod.metadata.uid));
    return missing && { reason: 'Deferred', message: missing.why };
  }

  private wanted(pod: Pod, container: Container): cri.LinuxContainerResources {
    return this.deps.resources(pod, container);
  }

  /** Which resources of a running container are not yet what they should be. */
  private changed(pod: Pod, container: Container, record: ContainerRecord): ResizableResource[] {
    const now = record.resources?.linux;
    if (!now) return [];
    const wanted = this.wanted(pod, container);
    return resizable.filter(name =>
      name === 'memory'
        ? now.memoryLimitInBytes !== wanted.memoryLimitInBytes
        : now.cpuShares !== wanted.cpuShares || now.cpuQuota !== wanted.cpuQuota,
    );
  }

  /** Throws when a container, or the pod as a whole, uses more memory than it is to have. */
  private async checkMemory(pod: Pod, changes: readonly Change[]): Promise<void> {
    const limitOf = (of: cri.LinuxContainerResources | undefined): number => Number(of?.memoryLimitInBytes ?? 0n);
    const tightened = changes.filter(({ record, wanted }) =>
      tightens(limitOf(wanted), limitOf(record.resources?.linux)),
    );
    const stats = tightened.length > 0 ? await this.deps.client.listContainerStats() : [];
    for (const { record, wanted } of tightened) {
      const found = stats.find(({ attributes }) => attributes?.id === record.id);
      checkUsage('container', limitOf(wanted), Number(found?.memory?.usageBytes?.value ?? 0n));
    }
    const { limit, now, usage } = this.deps.cgroups.memory(pod);
    if (tightens(limit, now)) checkUsage('pod', limit, usage);
  }

  private async tryCgroups(pod: Pod): Promise<void> {
    try {
      await this.deps.cgroups.create(pod);
    } catch (err) {
      // A limit below what the containers still have is refused; it is written again after theirs.
      this.deps.logger.debug({ err, uid: pod.metadata?.uid }, 'pod cgroup not resized yet');
    }
  }
}

/** Bytes; 0 for no limit. */
function tightens(limit: number, now: number): boolean {
  return limit > 0 && (now === 0 || limit < now);
}

function checkUsage(what: 'container' | 'pod', limit: number, usage: number): void {
  if (usage > limit)
    throw new Error(`attempting to set ${what} memory limit (${limit}) below current usage (${usage})`);
}

function described(pod: Pod): string {
  const containers = resizableContainers(pod).map(({ name, resources = {} }) => ({ name, resources }));
  const { resources } = pod.spec ?? {};
  return JSON.stringify({ ...(resources ? { resources } : {}), containers, generation: pod.metadata?.generation });
}
