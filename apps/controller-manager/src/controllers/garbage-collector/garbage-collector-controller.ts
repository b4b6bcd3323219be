import {
  apiVersionOf,
  coreEvents,
  definitions,
  events,
  type KubeObject,
  type OwnerReference,
  type ResourceType,
  type Stored,
} from '@naru/api';
import type { DeleteOptions, ReconcileResult } from '@naru/client';
import { isReason } from '@naru/foundation';
import type { Controller, ControllerDeps } from '../../framework/controller';
import { followCustomTypes } from '../../framework/custom-types';
import { OwnershipGraph, foregroundFinalizer, orphanFinalizer, type GraphNode } from './ownership-graph';

/** Owners of a kind that is not served cannot be told from owners that are gone: look again, later. */
const unknownKindRetryMs = 30_000;
const maxAbsent = 5_000;

/** Events belong to nobody and are too many to follow. */
function collectedTypes(): ResourceType[] {
  const ignored = [coreEvents, events];
  return definitions
    .filter(
      ({ verbs, storedAs }) =>
        verbs.includes('delete') && verbs.includes('list') && verbs.includes('watch') && !storedAs,
    )
    .map(({ type }) => type)
    .filter(type => !ignored.some(other => other.group === type.group && other.resource === type.resource));
}

type Owner = { reference: OwnerReference; state: 'solid' | 'dangling' | 'waiting' };

class GarbageCollector {
  private readonly graph: OwnershipGraph;
  /** Uids of owners that the api-server has said are gone. */
  private readonly absent = new Set<string>();
  private readonly typesByKind: Map<string, ResourceType>;
  /** By the name of the definition: ends following its objects. */
  private readonly custom = new Map<string, () => void>();

  constructor(private readonly deps: ControllerDeps) {
    this.graph = new OwnershipGraph(uid => deps.enqueue(uid));
    this.typesByKind = new Map(collectedTypes().map(type => [`${apiVersionOf(type)}/${type.kind}`, type]));
    // First: definitions are needed whole, and collected as well.
    followCustomTypes(deps.informers, {
      onServed: (name, type, all) => this.followCustom(name, type, all),
      onGone: name => this.custom.get(name)?.(),
    });
    for (const type of collectedTypes()) {
      deps.informers.metadata(type).addHandler({
        onAdd: object => this.graph.set(type, object),
        onUpdate: object => this.graph.set(type, object),
        onDelete: ({ metadata }) => this.graph.remove(metadata.uid),
      });
    }
  }

  /** Custom resources come and go with their definitions. */
  private followCustom(name: string, type: ResourceType, all: readonly ResourceType[]): void {
    const stop = new AbortController();
    const informer = this.deps.informers.passing(type);
    const kinds = all.map(version => `${apiVersionOf(version)}/${version.kind}`);
    for (const kind of kinds) this.typesByKind.set(kind, type);
    informer.addHandler({
      onAdd: object => this.graph.set(type, object),
      onUpdate: object => this.graph.set(type, object),
      onDelete: ({ metadata }) => this.graph.remove(metadata.uid),
    });
    this.custom.set(name, () => {
      this.custom.delete(name);
      stop.abort();
      for (const kind of kinds) this.typesByKind.delete(kind);
      for (const { metadata } of informer.lister.list()) this.graph.remove(metadata.uid);
    });
    void informer.start(AbortSignal.any([stop.signal, this.deps.signal]));
  }

  async reconcile(uid: string): Promise<ReconcileResult> {
    const node = this.graph.get(uid);
    if (!node?.observed || !node.type) return undefined;
    if (node.deleting && node.finalizers.includes(orphanFinalizer)) return this.orphanDependents(node);
    if (node.deleting && node.finalizers.includes(foregroundFinalizer)) return this.finishForeground(node);
    if (node.deleting || node.owners.length === 0) return undefined;
    return this.judge(node);
  }

  /** Deletes a dependent whose owners are all gone, or drops the references to those that are. */
  private async judge(node: GraphNode): Promise<ReconcileResult> {
    const owners: Owner[] = [];
    for (const reference of node.owners) {
      const state = await this.ownerState(node, reference);
      if (state === 'unknown') return { requeueAfterMs: unknownKindRetryMs };
      owners.push({ reference, state });
    }
    const gone = owners.filter(({ state }) => state !== 'solid');
    if (gone.length === 0) return undefined;
    const current = await this.fetch(node);
    if (!current || current.metadata.deletionTimestamp) return undefined;
    const uids = new Set(gone.map(({ reference }) => reference.uid));
    if (gone.length < owners.length) {
      await this.removeReferences(node, current, uids);
      return undefined;
    }
    const waiting = owners.some(({ state }) => state === 'waiting');
    if (waiting && inCircle(node)) {
      // Each would wait for the next for ever: this one stops to block its owner, which brings it back here.
      const ownerReferences = current.metadata.ownerReferences?.map(one => ({ ...one, blockOwnerDeletion: false }));
      const { uid, resourceVersion } = current.metadata;
      return void (await this.patch(node, { metadata: { uid, resourceVersion, ownerReferences } }));
    }
    await this.delete(node, current, this.propagation(node, waiting));
    return undefined;
  }

  /** An owner in foreground deletion waits for its dependents, and they for theirs if those block them. */
  private propagation(node: GraphNode, ownerWaits: boolean): DeleteOptions['propagationPolicy'] {
    if (ownerWaits && [...node.dependents].some(dependent => blocks(dependent, node.uid))) return 'Foreground';
    if (node.finalizers.includes(orphanFinalizer)) return 'Orphan';
    if (node.finalizers.includes(foregroundFinalizer)) return 'Foreground';
    return 'Background';
  }

  private async ownerState(node: GraphNode, reference: OwnerReference): Promise<Owner['state'] | 'unknown'> {
    const known = this.graph.get(reference.uid);
    if (known?.observed && known.type) {
      // A reference across namespaces is to nothing.
      if (known.type.namespaced && known.namespace !== node.namespace) return 'dangling';
      return known.deleting && known.finalizers.includes(foregroundFinalizer) ? 'waiting' : 'solid';
    }
    if (this.absent.has(reference.uid)) return 'dangling';
    const type = this.typesByKind.get(`${reference.apiVersion}/${reference.kind}`);
    if (!type) return 'unknown';
    const namespace = type.namespaced ? node.namespace : undefined;
    try {
      const owner = await this.deps.client.get(type, { namespace, name: reference.name });
      if (owner.metadata.uid === reference.uid) {
        const waiting = owner.metadata.deletionTimestamp && owner.metadata.finalizers?.includes(foregroundFinalizer);
        return waiting ? 'waiting' : 'solid';
      }
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
    if (this.absent.size >= maxAbsent) this.absent.delete(this.absent.values().next().value as string);
    this.absent.add(reference.uid);
    return 'dangling';
  }

  /** The owner goes when no dependent blocks it any more. */
  private async finishForeground(node: GraphNode): Promise<ReconcileResult> {
    const blocking = [...node.dependents].filter(dependent => blocks(dependent, node.uid));
    if (blocking.length > 0) {
      for (const dependent of blocking) if (!dependent.deleting) this.deps.enqueue(dependent.uid);
      return undefined;
    }
    await this.removeFinalizer(node, foregroundFinalizer);
    return undefined;
  }

  private async orphanDependents(node: GraphNode): Promise<ReconcileResult> {
    for (const dependent of node.dependents) {
      const current = await this.fetch(dependent);
      if (current) await this.removeReferences(dependent, current, new Set([node.uid]));
    }
    await this.removeFinalizer(node, orphanFinalizer);
    return undefined;
  }

  /** The object itself, if it is still the one that the graph knows. */
  private async fetch(node: GraphNode): Promise<Stored<KubeObject> | undefined> {
    if (!node.type) return undefined;
    try {
      const current = await this.deps.client.get(node.type, keyOf(node));
      return current.metadata.uid === node.uid ? current : undefined;
    } catch (error) {
      if (isReason(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  private async delete(
    node: GraphNode,
    { metadata }: Stored<KubeObject>,
    propagationPolicy: DeleteOptions['propagationPolicy'],
  ): Promise<void> {
    const { client, logger } = this.deps;
    const type = node.type as ResourceType;
    logger.info({ resource: type.resource, namespace: node.namespace, name: node.name, uid: node.uid }, 'collecting');
    // The owners were judged by this version: had they changed meanwhile, it must be judged again.
    const preconditions = { uid: node.uid, resourceVersion: metadata.resourceVersion };
    try {
      await client.delete(type, keyOf(node), { ...(propagationPolicy ? { propagationPolicy } : {}), preconditions });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
  }

  private async removeReferences(
    node: GraphNode,
    { metadata }: Stored<KubeObject>,
    uids: ReadonlySet<string>,
  ): Promise<void> {
    const { uid, resourceVersion } = metadata;
    const ownerReferences = (metadata.ownerReferences ?? []).filter(reference => !uids.has(reference.uid));
    await this.patch(node, { metadata: { uid, resourceVersion, ownerReferences } });
  }

  private async removeFinalizer(node: GraphNode, finalizer: string): Promise<void> {
    const current = await this.fetch(node);
    if (!current?.metadata.finalizers?.includes(finalizer)) return;
    const { uid, resourceVersion } = current.metadata;
    const finalizers = current.metadata.finalizers.filter(entry => entry !== finalizer);
    await this.patch(node, { metadata: { uid, resourceVersion, finalizers } });
  }

  private async patch(node: GraphNode, body: object): Promise<void> {
    try {
      await this.deps.client.patch(node.type as ResourceType, keyOf(node), { type: 'merge', body });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
  }
}

function keyOf({ namespace, name }: GraphNode): { namespace: string | undefined; name: string } {
  return { namespace, name };
}

function blocks(dependent: GraphNode, ownerUid: string): boolean {
  return dependent.owners.some(({ uid, blockOwnerDeletion }) => uid === ownerUid && blockOwnerDeletion);
}

/** Whether what belongs to the node is itself waiting for what belongs to it, as only the node's owners should. */
function inCircle(node: GraphNode): boolean {
  if (!node.owners.some(({ blockOwnerDeletion }) => blockOwnerDeletion)) return false;
  return [...node.dependents].some(({ deleting, finalizers }) => deleting && finalizers.includes(foregroundFinalizer));
}

/** Deletes objects whose owners are gone. Must be the last of the registry: see ClusterInformers.metadata. */
export const garbageCollectorController: Controller = {
  name: 'garbage-collector-controller',
  concurrency: 20,
  // The graph is fed by handlers of its own, which `build` adds.
  watches: () => [],
  build(deps) {
    const collector = new GarbageCollector(deps);
    return { reconcile: uid => collector.reconcile(uid) };
  },
};
