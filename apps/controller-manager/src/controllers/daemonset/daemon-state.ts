import type { DaemonSet, Node, Pod, Stored } from '@naru/api';
import { revisionHashLabel } from '../../history/revision-history';
import { isPodAvailable } from '../../pods/pod-state';
import { compileNodeFit, targetNode, type NodeFit } from './node-fit';

/** What a DaemonSet is decided upon: its nodes with their pods, at one moment. */
export interface DaemonState {
  set: Stored<DaemonSet>;
  /** The hash of the revision of the present template. */
  hash: string;
  nodes: { node: Stored<Node>; fit: NodeFit; pods: Stored<Pod>[] }[];
  /** Pods for nodes that do not exist, and pods for none. */
  strays: Stored<Pod>[];
  isTerminating(pod: Stored<Pod>): boolean;
  isAvailable(pod: Pod): boolean;
  isUpdated(pod: Pod): boolean;
}

export interface StateInput {
  set: Stored<DaemonSet>;
  hash: string;
  nodes: readonly Stored<Node>[];
  pods: readonly Stored<Pod>[];
  /** Deleted a moment ago, though the pod does not show it yet. */
  isDeleted(uid: string): boolean;
  now: number;
}

export function daemonState({ set, hash, nodes, pods, isDeleted, now }: StateInput): DaemonState {
  const byNode = new Map<string, Stored<Pod>[]>(nodes.map(({ metadata }) => [metadata.name, []]));
  const strays: Stored<Pod>[] = [];
  for (const pod of [...pods].sort(byAge)) (byNode.get(targetNode(pod) ?? '') ?? strays).push(pod);
  const fitOf = compileNodeFit(set.spec?.template.spec);
  const minReadySeconds = set.spec?.minReadySeconds ?? 0;
  return {
    set,
    hash,
    nodes: nodes.map(node => ({ node, fit: fitOf(node), pods: byNode.get(node.metadata.name) ?? [] })),
    strays,
    isTerminating: ({ metadata }) => !!metadata.deletionTimestamp || isDeleted(metadata.uid),
    isAvailable: pod => isPodAvailable(pod, minReadySeconds, now),
    isUpdated: pod => pod.metadata?.labels?.[revisionHashLabel] === hash,
  };
}

function byAge(a: Stored<Pod>, b: Stored<Pod>): number {
  const left = a.metadata.creationTimestamp ?? '';
  const right = b.metadata.creationTimestamp ?? '';
  if (left !== right) return left < right ? -1 : 1;
  return a.metadata.name < b.metadata.name ? -1 : 1;
}
