import type { KubeObject, ObjectList, Stored } from '@naru/api';
import { BoundedMap, type Logger } from '@naru/foundation';
import { IndexedCache, objectKey } from './indexed-cache';
import type { InformerHandler, InformerOptions } from './informer-types';

/** Deletions that are remembered, so that what was told earlier and comes later does not bring an object back. */
const maxGone = 1_000;

/** The local copy of a resource and those who follow it, however it is kept up to date. Old news changes nothing. */
export class ObjectReplica<T extends KubeObject> {
  readonly cache: IndexedCache<T>;
  hasSynced = false;
  /** Resolves after the first list. */
  readonly synced: Promise<void>;
  /** The version of the last list. */
  listVersion = 0;
  private readonly handlers: InformerHandler<T>[] = [];
  /** The version of each of the last deletions, by key. */
  private readonly gone = new BoundedMap<string, number>(maxGone);
  private markSynced: () => void = () => undefined;

  constructor(
    private readonly options: InformerOptions<T>,
    private readonly logger: Logger,
  ) {
    this.cache = new IndexedCache(options.indexers);
    this.synced = new Promise(resolve => (this.markSynced = resolve));
  }

  addHandler(handler: InformerHandler<T>): void {
    this.handlers.push(handler);
    // A late handler hears of what is there already.
    if (this.hasSynced) for (const object of this.cache.list()) handler.onAdd?.(object);
  }

  /** What a write of this process was answered. */
  observe(written: Stored<T>): void {
    // Not there, and no newer than a list: deleted meanwhile, by what that list says.
    const known = this.cache.getByKey(objectKey(written));
    if (!this.hasSynced || (!known && Number(written.metadata.resourceVersion) <= this.listVersion)) return;
    this.upsert({ ...written, metadata: { ...written.metadata } });
  }

  replace(list: ObjectList<Stored<T>>): void {
    const present = new Set<string>();
    for (const object of list.items) {
      present.add(objectKey(object));
      this.upsert(object);
    }
    const version = Number(list.metadata.resourceVersion);
    for (const key of this.cache.keys()) {
      if (!present.has(key)) this.remove(key, version);
    }
    this.listVersion = version;
    this.hasSynced = true;
    this.markSynced();
  }

  upsert(received: Stored<T>): void {
    const key = objectKey(received);
    const known = this.cache.getByKey(key);
    const least = known ? Number(known.metadata.resourceVersion) : (this.gone.get(key) ?? 0);
    if (least >= Number(received.metadata.resourceVersion)) return;
    // The owners of fields are often the larger part of an object, and nobody reads them here. An update that comes
    // without them leaves them as they are.
    delete received.metadata.managedFields;
    const object = this.options.transform?.(received) ?? received;
    this.cache.set(object);
    // The same name with another uid is another object: its handlers hear of the end of the old one first.
    if (known && known.metadata.uid !== object.metadata.uid) {
      this.tell(known, handler => handler.onDelete?.(known));
      this.tell(object, handler => handler.onAdd?.(object));
    } else if (known) this.tell(object, handler => handler.onUpdate?.(object, known));
    else this.tell(object, handler => handler.onAdd?.(object));
  }

  /** Not what is newer than its deletion: another object of the same name. */
  remove(key: string, version: number, lastState?: Stored<T>): void {
    const known = this.cache.getByKey(key);
    if (known && Number(known.metadata.resourceVersion) > version) return;
    this.gone.set(key, version);
    if (!known) return;
    this.cache.delete(key);
    const last = lastState ?? known;
    this.tell(last, handler => handler.onDelete?.(last));
  }

  /** A handler that fails on one object must not keep the others, nor the informer, from going on. */
  private tell(object: Stored<T>, call: (handler: InformerHandler<T>) => void): void {
    for (const handler of this.handlers) {
      try {
        call(handler);
      } catch (err) {
        const { namespace, name } = object.metadata;
        this.logger.error({ err, resource: this.options.type.resource, namespace, name }, 'handler failed');
      }
    }
  }
}
