import type { KubeObject, ResourceType, Stored } from '@naru/api';
import type { ObjectKey } from './objects-client';

/** Reads the local copy. Objects are shared and must not be changed: copy what you write. */
export interface Lister<T extends KubeObject> {
  get(key: ObjectKey): Stored<T> | undefined;
  /** All objects, or those of one namespace. Not a copy of the cache: do not keep it across an await. */
  list(namespace?: string): Stored<T>[];
  /** The objects that the named index files under `value`. */
  byIndex(index: string, value: string): Stored<T>[];
  readonly size: number;
}

/** Called after the lister has changed. `old` and `object` are the same on a resync. Must not throw and must not block. */
export interface InformerHandler<T extends KubeObject> {
  onAdd?(object: Stored<T>): void;
  onUpdate?(object: Stored<T>, old: Stored<T>): void;
  onDelete?(object: Stored<T>): void;
}

export interface InformerOptions<T extends KubeObject> {
  type: ResourceType<T>;
  /** Only this partition of the feed: for pods, the name of a node. */
  partition?: string;
  /** Given to every list; must select what `partition` does (spec.nodeName=NODE). */
  fieldSelector?: string;
  namespace?: string;
  /** Index name → the values under which an object is found. */
  indexers?: Record<string, (object: Stored<T>) => string[]>;
  /**
   * Drops what the reader does not need before an object is kept: memory. Must keep name, namespace, uid,
   * resourceVersion. metadata.managedFields are dropped in any case.
   */
  transform?: (object: Stored<T>) => Stored<T>;
}

export interface Informer<T extends KubeObject> {
  readonly lister: Lister<T>;
  addHandler(handler: InformerHandler<T>): void;
  /** Begins to follow; resolves after the first list has been applied and the handlers were called. Stops with the signal. */
  start(signal: AbortSignal): Promise<void>;
  readonly hasSynced: boolean;
  /** Takes over what a write of this process was answered, before its event comes: readers see their own writes. */
  observe(written: Stored<T>): void;
}
