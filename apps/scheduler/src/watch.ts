import {
  namespaces,
  nodes,
  podDisruptionBudgets,
  pods,
  replicaSets,
  services,
  statefulSets,
  withResourcesInUse,
} from '@naru/api';
import type { KubeObject, Labels, Node, Pod, Stored } from '@naru/api';
import type { Informer, InformerOptions } from '@naru/client';
import { createPodInfo } from './cache/pod-info';
import { slimPod } from './cache/slim-pod';
import { followDevices, type DeviceEvent, type DeviceView } from './devices/device-view';
import type { ClusterEvent } from './framework/types';
import type { Scheduler, SchedulerDeps } from './scheduler';
import { followStorage, type StorageEvent, type StorageView } from './storage/storage-view';

export interface InformerSource {
  informer<T extends KubeObject>(options: InformerOptions<T>): Informer<T>;
}

export interface SchedulerInformers {
  nodes: Informer<Node>;
  pods: Informer<Pod>;
  listers: SchedulerDeps['listers'];
  storage: StorageView;
  devices: DeviceView;
  /** Changes of storage and of devices. */
  onResources(callback: (event: StorageEvent | DeviceEvent) => void): void;
  namespaceLabels(namespace: string): Labels;
  onNamespaceLabels(callback: () => void): void;
}

/** Asks for what the scheduler follows; nothing starts yet. `wholePods`: extenders are shown victims as they are. */
export function createInformers(source: InformerSource, { wholePods = false } = {}): SchedulerInformers {
  const namespaceInformer = source.informer({ type: namespaces });
  let tell: (event: StorageEvent | DeviceEvent) => void = () => undefined;
  return {
    nodes: source.informer({ type: nodes }),
    pods: source.informer({ type: pods, ...(wholePods ? {} : { transform: slimPod }) }),
    listers: {
      services: source.informer({ type: services }).lister,
      replicaSets: source.informer({ type: replicaSets }).lister,
      statefulSets: source.informer({ type: statefulSets }).lister,
      budgets: source.informer({ type: podDisruptionBudgets }).lister,
    },
    storage: followStorage(source, event => tell(event)),
    devices: followDevices(source, event => tell(event)),
    onResources: callback => void (tell = callback),
    namespaceLabels: namespace => namespaceInformer.lister.get({ name: namespace })?.metadata.labels,
    onNamespaceLabels: callback =>
      namespaceInformer.addHandler({
        onUpdate(namespace, old) {
          if (!same(namespace.metadata.labels, old.metadata.labels)) callback();
        },
      }),
  };
}

/** Feeds what the informers tell into the scheduler's cache and queue. */
export function watchCluster(informers: SchedulerInformers, scheduler: Scheduler): void {
  informers.nodes.addHandler({
    onAdd(node) {
      scheduler.cache.setNode(node);
      scheduler.moveOn({ event: 'NodeAdd', node: scheduler.cache.getNode(node.metadata.name) });
    },
    onUpdate(node, old) {
      scheduler.cache.setNode(node);
      const info = scheduler.cache.getNode(node.metadata.name);
      for (const event of nodeEvents(node, old)) scheduler.moveOn({ event, node: info });
    },
    onDelete: node => scheduler.cache.removeNode(node.metadata.name),
  });
  informers.pods.addHandler({
    onAdd: pod => applyPod(scheduler, pod),
    onUpdate: (pod, old) => applyPod(scheduler, pod, old),
    onDelete: pod => dropPod(scheduler, pod),
  });
  informers.onResources(event => scheduler.moveOn({ event }));
  informers.onNamespaceLabels(() => scheduler.cache.counters.clear());
}

function isFinished(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

function dropPod(scheduler: Scheduler, pod: Stored<Pod>): void {
  scheduler.dequeue(pod.metadata.uid);
  const node = scheduler.cache.getNode(pod.spec?.nodeName ?? '');
  if (scheduler.cache.removePod(pod.metadata.uid)) scheduler.moveOn({ event: 'AssignedPodDelete', node });
}

function applyPod(scheduler: Scheduler, pod: Stored<Pod>, old?: Stored<Pod>): void {
  const { uid, deletionTimestamp } = pod.metadata;
  if (isFinished(pod)) return dropPod(scheduler, pod);
  const nodeName = pod.spec?.nodeName;
  if (nodeName) {
    if (old?.spec?.nodeName && !affectsScheduling(pod, old)) return scheduler.cache.refreshPod(pod);
    const known = old?.spec?.nodeName !== undefined && old.spec.nodeName !== '';
    const wasAssumed = scheduler.cache.isPlaced(uid);
    scheduler.dequeue(uid);
    const info = createPodInfo(pod);
    scheduler.cache.setPod(info, nodeName);
    // A confirmation of what was assumed tells nothing new, but for pods that wait to be near this one.
    const event = known && wasAssumed ? 'AssignedPodUpdate' : 'AssignedPodAdd';
    scheduler.moveOn({ event, pod: info, node: scheduler.cache.getNode(nodeName) });
  } else if (deletionTimestamp || !scheduler.isResponsible(pod)) scheduler.dequeue(uid);
  else scheduler.enqueue(pod, old !== undefined && affectsScheduling(pod, old));
}

/** Status updates, by far the most, change nothing for the scheduler. */
function affectsScheduling(pod: Stored<Pod>, old: Stored<Pod>): boolean {
  return (
    pod.metadata.deletionTimestamp !== old.metadata.deletionTimestamp ||
    pod.metadata.generation !== old.metadata.generation ||
    !same(pod.metadata.labels, old.metadata.labels) ||
    !same(withResourcesInUse(pod).spec, withResourcesInUse(old).spec) ||
    !same(pod.status?.resourceClaimStatuses, old.status?.resourceClaimStatuses)
  );
}

/** What of a node has changed that a pod may have waited for. */
export function nodeEvents(node: Node, old: Node): ClusterEvent[] {
  const events: ClusterEvent[] = [];
  if (!same(node.status?.allocatable, old.status?.allocatable)) events.push('NodeAllocatable');
  if (!same(node.metadata?.labels, old.metadata?.labels)) events.push('NodeLabels');
  if (!same(node.status?.declaredFeatures, old.status?.declaredFeatures)) events.push('NodeDeclaredFeatures');
  if (!same(node.spec?.taints, old.spec?.taints) || node.spec?.unschedulable !== old.spec?.unschedulable)
    events.push('NodeTaints');
  return events;
}

function same(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}
