import type { Labels, PodDisruptionBudget, ReplicaSet, Service, StatefulSet } from '@naru/api';
import type { Lister, ObjectsClient } from '@naru/client';
import type { Clock } from '@naru/foundation';
import type { NodeInfo } from '../cache/node-info';
import type { PodInfo } from '../cache/pod-info';
import type { SchedulerCache } from '../cache/scheduler-cache';
import type { ConfigNode } from '../config/config-node';
import type { Extenders } from '../extenders/extenders';
import type { DeviceEvent, DeviceView } from '../devices/device-view';
import type { StorageView, StorageEvent } from '../storage/storage-view';
import type { CycleState } from './cycle-state';
import type { Nominator } from './nominator';
import type { Status } from './status';
import type { Trial } from './trial';

/** A change in the cluster that may make an unschedulable pod schedulable. */
export type ClusterEvent =
  | 'NodeAdd'
  | 'NodeAllocatable'
  | 'NodeDeclaredFeatures'
  | 'NodeLabels'
  | 'NodeTaints'
  | 'AssignedPodAdd'
  | 'AssignedPodUpdate'
  | 'AssignedPodDelete'
  | 'PodUpdate'
  | StorageEvent
  | DeviceEvent;

/** What has happened: the node as it is now, and the pod that came, went or changed on it, where there is one. */
export interface ClusterChange {
  event: ClusterEvent;
  node?: NodeInfo | undefined;
  pod?: PodInfo | undefined;
}

/** Names of the only nodes worth looking at; absent: all. */
export interface PreFilterResult {
  nodeNames: ReadonlySet<string>;
}

/** Why a pod found no node: what postFilter plugins and the message to the user are made from. */
export interface Diagnosis {
  /** How many nodes the cluster has. */
  nodeCount: number;
  /** Node name → why not. */
  nodeStatuses: Map<string, Status>;
  /** The plugins that said no: events that they wait for bring the pod back. */
  plugins: Set<string>;
  /** Set when a preFilter plugin refused the pod on every node. */
  preFilterMessage?: string;
  postFilterMessage?: string;
  /** The node that is being cleared for the pod; "": none any more. */
  nominatedNode?: string;
}

export interface PostFilterResult {
  /** "": the pod has no nominated node any more. */
  nominatedNode?: string;
  message?: string;
}

/**
 * Upstream's extension points. Those up to `reserve` run in one synchronous cycle over the live cache, which therefore
 * is the snapshot; the later ones run beside the following cycles. A plugin has those that it needs.
 */
export interface Plugin {
  /** Not a Success: the pod waits, and is asked about again when it changes. */
  preEnqueue?(pod: PodInfo): Status | undefined;
  preFilter?(state: CycleState, pod: PodInfo, nodes: readonly NodeInfo[]): Status | PreFilterResult | undefined;
  /** What preFilter notes depends on the pods that are placed: asked anew in trials, which take pods off a node. */
  readonly preFilterCountsPods?: true;
  filter?(state: CycleState, pod: PodInfo, node: NodeInfo): Status | undefined;
  /** Called when no node passed; may name a node where the pod will fit soon (preemption). */
  postFilter?(state: CycleState, pod: PodInfo, diagnosis: Diagnosis): PostFilterResult | Promise<PostFilterResult>;
  preScore?(state: CycleState, pod: PodInfo, nodes: readonly NodeInfo[]): Status | undefined;
  score?(state: CycleState, pod: PodInfo, node: NodeInfo): number;
  /** Brings `scores` into 0–100, in place; `nodes[i]` is the node of `scores[i]`. */
  normalizeScore?(state: CycleState, pod: PodInfo, scores: number[], nodes: readonly NodeInfo[]): void;
  reserve?(state: CycleState, pod: PodInfo, nodeName: string): Status | undefined;
  unreserve?(state: CycleState, pod: PodInfo, nodeName: string): void;
  permit?(state: CycleState, pod: PodInfo, nodeName: string): Promise<Status | undefined>;
  preBind?(state: CycleState, pod: PodInfo, nodeName: string): Promise<Status | undefined>;
  /** The first plugin that answers true has bound the pod. Throws a StatusError when the api-server refuses. */
  bind?(state: CycleState, pod: PodInfo, nodeName: string): Promise<boolean>;
  postBind?(state: CycleState, pod: PodInfo, nodeName: string): void;
}

/** Upstream's names, which are also those of its configuration. */
export const extensionPoints = [
  'preEnqueue',
  'preFilter',
  'filter',
  'postFilter',
  'preScore',
  'score',
  'reserve',
  'permit',
  'preBind',
  'bind',
  'postBind',
] as const satisfies readonly (keyof Plugin)[];

export type ExtensionPoint = (typeof extensionPoints)[number];

/** What plugins may use of the scheduler. */
export interface Handle {
  readonly cache: SchedulerCache;
  readonly client: ObjectsClient;
  readonly listers: {
    services: Lister<Service>;
    replicaSets: Lister<ReplicaSet>;
    statefulSets: Lister<StatefulSet>;
    budgets: Lister<PodDisruptionBudget>;
  };
  readonly storage: StorageView;
  readonly devices: DeviceView;
  readonly clock: Clock;
  namespaceLabels(namespace: string): Labels;
  /** What takes long on its way to a node does not count as a binding in flight meanwhile. */
  whileWaiting<T>(work: Promise<T>): Promise<T>;
  readonly extenders: Extenders;
  readonly nominator: Nominator;
  /** Prepares to try the pod on nodes; not to be kept beyond the turn. */
  prepareTrial(pod: PodInfo): Trial;
  /** Deletes a pod to make room on its node; does not wait for it. */
  evict(victim: PodInfo, preemptor: PodInfo, nodeName: string): void;
  /** 0 ≤ x < 1. */
  random(): number;
}

/** A row of the registry. */
export interface PluginFactory {
  readonly name: string;
  /** Of its scores; upstream's default profile. Default 1. */
  readonly weight?: number;
  /** Events that may make a pod schedulable which this plugin refused. */
  readonly requeueOn: readonly ClusterEvent[];
  /** Looks closer at one of these events: may it make a difference for this pod? Absent: it may. Cheap, and never no in doubt. */
  isHelped?(pod: PodInfo, change: ClusterChange): boolean;
  build(handle: Handle): Plugin;
  /** With the arguments of a profile in place of upstream's defaults. Absent: it takes none. @throws ConfigError */
  configure?(args: ConfigNode): (handle: Handle) => Plugin;
}

export const maxNodeScore = 100;
