import type { PodInfo } from '../cache/pod-info';

/** Pods for which a node is being cleared: until they are bound, pods of no higher priority must leave them the room. */
export class Nominator {
  private readonly byNode = new Map<string, Map<string, PodInfo>>();
  private readonly nodes = new Map<string, string>();

  add(pod: PodInfo, nodeName: string): void {
    this.remove(pod.uid);
    const pods = this.byNode.get(nodeName) ?? new Map<string, PodInfo>();
    pods.set(pod.uid, pod);
    this.byNode.set(nodeName, pods);
    this.nodes.set(pod.uid, nodeName);
  }

  /** True when a node was being cleared for the pod. */
  remove(uid: string): boolean {
    const nodeName = this.nodes.get(uid);
    if (nodeName === undefined) return false;
    this.nodes.delete(uid);
    const pods = this.byNode.get(nodeName);
    pods?.delete(uid);
    if (pods?.size === 0) this.byNode.delete(nodeName);
    return true;
  }

  nodeOf(uid: string): string | undefined {
    return this.nodes.get(uid);
  }

  on(nodeName: string): PodInfo[] {
    return [...(this.byNode.get(nodeName)?.values() ?? [])];
  }

  get isEmpty(): boolean {
    return this.nodes.size === 0;
  }

  /** The pods that `pod` has to make room for on the node. */
  rivals(pod: PodInfo, nodeName: string): PodInfo[] {
    return this.on(nodeName).filter(other => other.uid !== pod.uid && priorityOf(other) >= priorityOf(pod));
  }
}

export function priorityOf({ pod }: PodInfo): number {
  return pod.spec?.priority ?? 0;
}
