import type { Labels, Node, Pod, Stored } from '@naru/api';
import { AffinityTerms } from './affinity-terms';
import { NodeInfo } from './node-info';
import { PodCounters } from './pod-counters';
import { startOf, type PodInfo } from './pod-info';
import { Topology } from './topology';

const zoneLabel = 'topology.kubernetes.io/zone';

/**
 * The scheduler's picture of the cluster: nodes, the pods bound to them, and the pods assumed to be bound soon. Each event
 * changes only what it is about. A scheduling cycle is synchronous, so the picture itself serves as its snapshot.
 */
export class SchedulerCache {
  private readonly labelsOf = (nodeName: string): Labels => this.getNode(nodeName)?.labels;
  readonly counters = new PodCounters(() => this.allPods(), this.labelsOf);
  readonly affinityTerms = new AffinityTerms(this.labelsOf);
  readonly topology = new Topology(() => this.nodeList());
  private readonly nodes = new Map<string, NodeInfo>();
  /** Pod uid → its node. */
  private readonly placed = new Map<string, string>();
  private readonly assumed = new Set<string>();
  /** Priority → how many pods have it: few values. */
  private readonly priorities = new Map<number, number>();
  /** Image name → nodes that have it and its size in bytes. */
  private readonly images = new Map<string, Map<string, number>>();
  private ordered: NodeInfo[] | undefined;

  /** All nodes, alternating between zones, so that the first part of the list is spread as well as the whole. */
  nodeList(): readonly NodeInfo[] {
    return (this.ordered ??= this.orderNodes());
  }

  get nodeCount(): number {
    return this.nodeList().length;
  }

  getNode(name: string): NodeInfo | undefined {
    const info = this.nodes.get(name);
    return info?.node ? info : undefined;
  }

  setNode(node: Stored<Node>): void {
    const info = this.nodeInfo(node.metadata.name);
    const zone = info.node && info.labels[zoneLabel];
    this.forgetImages(info);
    if (!info.node || zone !== node.metadata.labels?.[zoneLabel]) this.ordered = undefined;
    const relabelled = !info.node || !sameLabels(info.labels, node.metadata.labels ?? {});
    info.setNode(node);
    if (relabelled) this.forgetDomains();
    this.noteImages(info);
  }

  removeNode(name: string): void {
    const info = this.nodes.get(name);
    if (!info) return;
    this.forgetImages(info);
    info.node = undefined;
    this.ordered = undefined;
    this.forgetDomains();
    // Its pods are still told of: the entry stays until the last is gone.
    if (info.pods.size === 0) this.nodes.delete(name);
  }

  /** Counts a pod on the node from now on, before the api-server has heard of it. */
  assume(info: PodInfo, nodeName: string): void {
    this.place(info, nodeName);
    this.assumed.add(info.uid);
  }

  /** Takes back `assume`: the pod was not bound. */
  forget(uid: string): void {
    if (this.assumed.has(uid)) this.removePod(uid);
  }

  isPlaced(uid: string): boolean {
    return this.placed.has(uid);
  }

  /** A bound pod, new or changed; it confirms an assumed one. */
  setPod(info: PodInfo, nodeName: string): void {
    this.assumed.delete(info.uid);
    this.place(info, nodeName);
  }

  /** A placed pod of which nothing has changed that counts: the latest object is kept, and not two. */
  refreshPod(pod: Stored<Pod>): void {
    const { uid } = pod.metadata;
    const info = this.nodes.get(this.placed.get(uid) ?? '')?.pods.get(uid);
    if (!info) return;
    info.pod = pod;
    info.startedAt = startOf(pod);
  }

  /** True when the pod was counted. */
  removePod(uid: string): boolean {
    const nodeName = this.placed.get(uid);
    if (nodeName === undefined) return false;
    this.placed.delete(uid);
    this.assumed.delete(uid);
    const node = this.nodes.get(nodeName);
    const info = node?.removePod(uid);
    if (info) {
      this.counters.removed(info, nodeName);
      this.affinityTerms.removed(info, nodeName);
      this.countPriority(info, -1);
    }
    if (node && !node.node && node.pods.size === 0) this.nodes.delete(nodeName);
    return true;
  }

  /** Takes a pod off its node for a trial, until `putBack`. Only what filters look at changes: it still counts as placed. */
  lift(info: PodInfo, node: NodeInfo): void {
    node.removePod(info.uid);
    this.counters.removed(info, node.name);
    this.affinityTerms.removed(info, node.name);
  }

  putBack(info: PodInfo, node: NodeInfo): void {
    node.addPod(info);
    this.counters.added(info, node.name);
    this.affinityTerms.added(info, node.name);
  }

  /** Puts a pod on a node for a trial; the function returned takes it away again. */
  lend(info: PodInfo, nodeName: string): () => void {
    this.place(info, nodeName);
    return () => void this.removePod(info.uid);
  }

  /** Sizes of an image by the nodes that have it. */
  imageNodes(image: string): ReadonlyMap<string, number> | undefined {
    return this.images.get(image);
  }

  get podCount(): number {
    return this.placed.size;
  }

  /** Infinity when there are no pods. */
  get lowestPriority(): number {
    return Math.min(...this.priorities.keys());
  }

  get assumedCount(): number {
    return this.assumed.size;
  }

  private place(info: PodInfo, nodeName: string): void {
    this.removePod(info.uid);
    this.nodeInfo(nodeName).addPod(info);
    this.placed.set(info.uid, nodeName);
    this.counters.added(info, nodeName);
    this.affinityTerms.added(info, nodeName);
    this.countPriority(info, 1);
  }

  private forgetDomains(): void {
    this.counters.forgetDomains();
    this.affinityTerms.forgetDomains();
    this.topology.forget();
  }

  private countPriority({ pod }: PodInfo, change: number): void {
    const priority = pod.spec?.priority ?? 0;
    const count = (this.priorities.get(priority) ?? 0) + change;
    if (count > 0) this.priorities.set(priority, count);
    else this.priorities.delete(priority);
  }

  private nodeInfo(name: string): NodeInfo {
    let info = this.nodes.get(name);
    if (!info) this.nodes.set(name, (info = new NodeInfo(name)));
    return info;
  }

  private *allPods(): Iterable<{ info: PodInfo; nodeName: string }> {
    for (const node of this.nodes.values()) for (const info of node.pods.values()) yield { info, nodeName: node.name };
  }

  private orderNodes(): NodeInfo[] {
    const zones = new Map<string, NodeInfo[]>();
    for (const info of this.nodes.values()) {
      if (!info.node) continue;
      const zone = info.labels[zoneLabel] ?? '';
      const members = zones.get(zone);
      if (members) members.push(info);
      else zones.set(zone, [info]);
    }
    const lists = [...zones.values()];
    const ordered: NodeInfo[] = [];
    for (let i = 0; lists.some(list => i < list.length); i++)
      for (const list of lists) if (list[i]) ordered.push(list[i] as NodeInfo);
    return ordered;
  }

  private noteImages(info: NodeInfo): void {
    for (const { names = [], sizeBytes = 0 } of info.node?.status?.images ?? []) {
      for (const name of names) {
        const nodes = this.images.get(name) ?? new Map<string, number>();
        nodes.set(info.name, sizeBytes);
        this.images.set(name, nodes);
      }
    }
  }

  private forgetImages(info: NodeInfo): void {
    for (const { names = [] } of info.node?.status?.images ?? []) {
      for (const name of names) {
        const nodes = this.images.get(name);
        if (nodes?.delete(info.name) && nodes.size === 0) this.images.delete(name);
      }
    }
  }
}

function sameLabels(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every(name => a[name] === b[name]);
}
