import type { KubeObject, Stored } from '@naru/api';
import type { Lister } from './informer-types';
import type { ObjectKey } from './objects-client';

/** `namespace/name`, or `name` for cluster-scoped objects: the key of caches and work queues. */
export function objectKey(object: KubeObject | ObjectKey): string {
  const { namespace, name } = (
    'name' in object ? object : ((object as KubeObject).metadata ?? {})
  ) as Partial<ObjectKey>;
  return namespace ? `${namespace}/${name ?? ''}` : (name ?? '');
}

/** The reverse of objectKey. */
export function parseKey(key: string): ObjectKey {
  const slash = key.indexOf('/');
  return slash < 0 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/** A local copy of objects with indices that are kept up to date on every change. */
export class IndexedCache<T extends KubeObject> implements Lister<T> {
  private readonly objects = new Map<string, Stored<T>>();
  private readonly namespaces = new Map<string, Map<string, Stored<T>>>();
  private readonly indices = new Map<string, Map<string, Map<string, Stored<T>>>>();

  constructor(private readonly indexers: Record<string, (object: Stored<T>) => string[]> = {}) {
    for (const name of Object.keys(indexers)) this.indices.set(name, new Map());
  }

  get size(): number {
    return this.objects.size;
  }

  get(key: ObjectKey): Stored<T> | undefined {
    return this.objects.get(objectKey(key));
  }

  getByKey(key: string): Stored<T> | undefined {
    return this.objects.get(key);
  }

  keys(): string[] {
    return [...this.objects.keys()];
  }

  list(namespace?: string): Stored<T>[] {
    const from = namespace === undefined ? this.objects : this.namespaces.get(namespace);
    return from ? [...from.values()] : [];
  }

  byIndex(index: string, value: string): Stored<T>[] {
    const entries = this.indices.get(index);
    if (!entries) throw new Error(`no index is named ${index}`);
    return [...(entries.get(value)?.values() ?? [])];
  }

  set(object: Stored<T>): Stored<T> | undefined {
    const key = objectKey(object);
    const old = this.objects.get(key);
    if (old) this.unfile(key, old);
    this.objects.set(key, object);
    this.file(key, object);
    return old;
  }

  delete(key: string): Stored<T> | undefined {
    const old = this.objects.get(key);
    if (!old) return undefined;
    this.objects.delete(key);
    this.unfile(key, old);
    return old;
  }

  private file(key: string, object: Stored<T>): void {
    const { namespace } = object.metadata;
    if (namespace) put(this.namespaces, namespace, key, object);
    for (const [name, index] of this.indices) {
      for (const value of this.indexers[name]?.(object) ?? []) put(index, value, key, object);
    }
  }

  private unfile(key: string, object: Stored<T>): void {
    const { namespace } = object.metadata;
    if (namespace) take(this.namespaces, namespace, key);
    for (const [name, index] of this.indices) {
      for (const value of this.indexers[name]?.(object) ?? []) take(index, value, key);
    }
  }
}

function put<V>(index: Map<string, Map<string, V>>, value: string, key: string, object: V): void {
  const bucket = index.get(value);
  if (bucket) bucket.set(key, object);
  else index.set(value, new Map([[key, object]]));
}

function take<V>(index: Map<string, Map<string, V>>, value: string, key: string): void {
  const bucket = index.get(value);
  if (bucket?.delete(key) && bucket.size === 0) index.delete(value);
}
