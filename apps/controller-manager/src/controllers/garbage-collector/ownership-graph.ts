import type { KubeObject, OwnerReference, ResourceType, Stored } from '@naru/api';

export const foregroundFinalizer = 'foregroundDeletion';
export const orphanFinalizer = 'orphan';

/** An object as the garbage collector sees it: who it is, to whom it belongs, and who belongs to it. */
export interface GraphNode {
  readonly uid: string;
  type: ResourceType | undefined;
  namespace: string | undefined;
  name: string;
  owners: readonly OwnerReference[];
  finalizers: readonly string[];
  deleting: boolean;
  /** False for owners that are only known from the references of their dependents. */
  observed: boolean;
  readonly dependents: Set<GraphNode>;
}

/**
 * Who belongs to whom, over all resources, by uid. Kept up to date by each event in proportion to the owners and
 * dependents of its one object. `touch` is told of every object that may now have to be deleted or released.
 */
export class OwnershipGraph {
  private readonly nodes = new Map<string, GraphNode>();

  constructor(private readonly touch: (uid: string) => void) {}

  get size(): number {
    return this.nodes.size;
  }

  get(uid: string): GraphNode | undefined {
    return this.nodes.get(uid);
  }

  set(type: ResourceType, { metadata }: Stored<KubeObject>): void {
    const node = this.ensure(metadata.uid, metadata.name);
    const isNew = !node.observed;
    const wasDeleting = node.deleting;
    node.type = type;
    node.namespace = metadata.namespace;
    node.name = metadata.name;
    node.observed = true;
    node.finalizers = metadata.finalizers ?? none;
    node.deleting = !!metadata.deletionTimestamp;
    const changed = this.link(node, metadata.ownerReferences ?? none);
    const holdsFor = node.finalizers.includes(foregroundFinalizer) || node.finalizers.includes(orphanFinalizer);
    if ((isNew || changed) && node.owners.length > 0) this.touch(node.uid);
    else if (node.deleting && holdsFor) this.touch(node.uid);
    // Owners that wait for this one: whether it blocks them may have changed.
    if (changed) for (const owner of node.owners) this.touchIfWaiting(owner.uid);
    if (node.deleting && !wasDeleting && node.finalizers.includes(foregroundFinalizer))
      for (const dependent of node.dependents) this.touch(dependent.uid);
  }

  /** The object is gone: its dependents have lost an owner, its owners a dependent. */
  remove(uid: string): void {
    const node = this.nodes.get(uid);
    if (!node) return;
    const owners = node.owners;
    this.link(node, none);
    node.observed = false;
    for (const dependent of node.dependents) this.touch(dependent.uid);
    for (const owner of owners) this.touchIfWaiting(owner.uid);
    this.drop(node);
  }

  private touchIfWaiting(uid: string): void {
    if (this.nodes.get(uid)?.deleting) this.touch(uid);
  }

  private ensure(uid: string, name: string): GraphNode {
    let node = this.nodes.get(uid);
    if (!node) {
      node = {
        uid,
        type: undefined,
        namespace: undefined,
        name,
        owners: none,
        finalizers: none,
        deleting: false,
        observed: false,
        dependents: new Set(),
      };
      this.nodes.set(uid, node);
    }
    return node;
  }

  private link(node: GraphNode, owners: readonly OwnerReference[]): boolean {
    const before = node.owners;
    if (JSON.stringify(before) === JSON.stringify(owners)) return false;
    node.owners = owners;
    const now = new Set(owners.map(({ uid }) => uid));
    for (const { uid, name } of owners) this.ensure(uid, name).dependents.add(node);
    for (const { uid } of before) {
      if (now.has(uid)) continue;
      const owner = this.nodes.get(uid);
      owner?.dependents.delete(node);
      this.touchIfWaiting(uid);
      if (owner) this.drop(owner);
    }
    return true;
  }

  /** Forgets what neither exists nor is referred to. */
  private drop(node: GraphNode): void {
    if (!node.observed && node.dependents.size === 0) this.nodes.delete(node.uid);
  }
}

const none: readonly never[] = [];
