import { feedFilter as filterOf, type Feed, type FeedMessage } from './feed';
import type { KubeObject, ObjectList, Stored } from '@naru/api';
import { isReason, systemClock, type Clock, type Logger } from '@naru/foundation';
import { IndexedCache, objectKey } from './indexed-cache';
import type { Informer, InformerHandler, InformerOptions, Lister } from './informer-types';
import type { ObjectsClient } from './objects-client';

/** How often to list while the bus is away. */
const pollIntervalMs = 3_000;
const maxRetryDelayMs = 5_000;
/** Messages that may wait for a running list; beyond that the list is simply done again. */
const maxBuffered = 20_000;
/** Deletions that are remembered, so that what was told earlier and comes later does not bring an object back. */
const maxGone = 1_000;

export interface InformerDeps {
  client: ObjectsClient;
  feed: Feed;
  logger: Logger;
  clock?: Clock;
}

/**
 * Keeps a local copy of a resource: subscribes to the feed, lists over the client, then applies what is newer than the
 * list. Whatever may have lost a change (a gap in the chain of versions, a new subscription, an overflow) is answered by
 * listing again; while the bus is away it lists every few seconds.
 */
export class ReflectingInformer<T extends KubeObject> implements Informer<T> {
  hasSynced = false;
  private readonly cache: IndexedCache<T>;
  private readonly handlers: InformerHandler<T>[] = [];
  private readonly clock: Clock;
  private listVersion = 0;
  /** The last version seen in each partition of the feed. */
  private readonly seen = new Map<string, number>();
  /** The version of each of the last deletions, by key. */
  private readonly gone = new Map<string, number>();
  private listing = false;
  private listAgain = false;
  private buffer: FeedMessage[] = [];
  private cancelPoll: (() => void) | undefined;
  private signal: AbortSignal = AbortSignal.abort();
  private readonly synced: Promise<void>;
  private markSynced: () => void = () => undefined;

  constructor(
    private readonly options: InformerOptions<T>,
    private readonly deps: InformerDeps,
  ) {
    this.cache = new IndexedCache(options.indexers);
    this.clock = deps.clock ?? systemClock;
    this.synced = new Promise(resolve => (this.markSynced = resolve));
  }

  get lister(): Lister<T> {
    return this.cache;
  }

  addHandler(handler: InformerHandler<T>): void {
    this.handlers.push(handler);
    // A late handler hears of what is there already.
    if (this.hasSynced) for (const object of this.cache.list()) handler.onAdd?.(object);
  }

  start(signal: AbortSignal): Promise<void> {
    if (!this.signal.aborted) return this.synced;
    this.signal = signal;
    signal.addEventListener('abort', () => this.cancelPoll?.());
    const { type, partition } = this.options;
    this.deps.feed.subscribe(
      filterOf(type.group, type.resource, partition),
      {
        onMessage: message => this.receive(message),
        onLive: () => {
          this.cancelPoll?.();
          this.cancelPoll = undefined;
          this.relist('the feed is live');
        },
        onLost: () => this.poll(),
      },
      signal,
    );
    return this.synced;
  }

  observe(written: Stored<T>): void {
    const known = this.hasSynced && !this.signal.aborted;
    // Deleted meanwhile, by what a list says.
    if (
      !known ||
      (!this.cache.getByKey(objectKey(written)) && Number(written.metadata.resourceVersion) <= this.listVersion)
    )
      return;
    this.upsert({ ...written, metadata: { ...written.metadata } });
  }

  private poll(): void {
    if (this.signal.aborted || this.cancelPoll) return;
    if (!this.hasSynced) this.relist('the feed is away');
    // Spread over time, so that a thousand readers do not list at once.
    this.cancelPoll = this.clock.after(pollIntervalMs * (0.75 + Math.random() / 2), () => {
      this.cancelPoll = undefined;
      this.relist('the feed is away');
      this.poll();
    });
  }

  private receive(message: FeedMessage): void {
    if (this.signal.aborted) return;
    if (this.listing) {
      if (this.buffer.length < maxBuffered) this.buffer.push(message);
      else this.listAgain = true;
      return;
    }
    if (!this.hasSynced) return;
    this.accept(message);
  }

  private accept(message: FeedMessage): void {
    const { partition, version, previous, type } = message;
    const seen = Math.max(this.seen.get(partition) ?? 0, this.listVersion);
    if (type === 'BOOKMARK' ? version > seen : previous !== undefined && previous > seen) {
      this.deps.logger.warn(
        { resource: this.options.type.resource, partition, seen, version, previous },
        'feed has a gap',
      );
      return this.relist('a gap');
    }
    if (type === 'BOOKMARK' || version <= seen) return;
    this.seen.set(partition, version);
    const { namespace } = this.options;
    if (namespace !== undefined && message.namespace !== namespace) return;
    const key = objectKey({ namespace: message.namespace, name: message.name });
    if (type === 'DELETED') this.remove(key, version, message.data);
    else if (message.data.length === 0) void this.fetch(message);
    else this.upsert(parse<T>(message.data));
  }

  /** The feed told that an object changed without showing it. */
  private async fetch(message: FeedMessage): Promise<void> {
    const { namespace, name } = message;
    try {
      this.upsert(
        await this.deps.client.get(this.options.type, { namespace: namespace || undefined, name }, this.signal),
      );
    } catch (err) {
      // A deletion that follows will be told too; anything else is repaired by a list.
      if (!isReason(err, 'NotFound') && !this.signal.aborted) this.relist('an object could not be fetched');
    }
  }

  private relist(reason: string): void {
    if (this.listing) {
      this.listAgain = true;
      return;
    }
    this.listing = true;
    void this.listUntilDone(reason);
  }

  private async listUntilDone(reason: string): Promise<void> {
    const { client, logger } = this.deps;
    const { type, namespace, fieldSelector } = this.options;
    for (let failures = 0; !this.signal.aborted;) {
      this.listAgain = false;
      try {
        const list = await client.list(
          type,
          { ...(namespace ? { namespace } : {}), ...(fieldSelector ? { fieldSelector } : {}) },
          this.signal,
        );
        this.replace(list);
        logger.debug({ resource: type.resource, count: list.items.length, reason }, 'listed');
        failures = 0;
        if (!this.listAgain) break;
      } catch (err) {
        if (this.signal.aborted) break;
        if (failures++ === 0) logger.warn({ err, resource: type.resource, reason }, 'list failed');
        await this.clock.sleep(Math.min(50 * 2 ** failures, maxRetryDelayMs), this.signal).catch(() => undefined);
      }
    }
    this.listing = false;
    const buffered = this.buffer;
    this.buffer = [];
    for (const message of buffered) this.receive(message);
    if (this.signal.aborted) return;
    if (!this.hasSynced) {
      this.hasSynced = true;
      this.markSynced();
    }
  }

  private replace(list: ObjectList<Stored<T>>): void {
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
    this.seen.clear();
    this.hasSynced = true;
    this.markSynced();
  }

  private upsert(received: Stored<T>): void {
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
  private remove(key: string, version: number, lastState?: Uint8Array): void {
    const known = this.cache.getByKey(key);
    if (known && Number(known.metadata.resourceVersion) > version) return;
    this.gone.delete(key);
    this.gone.set(key, version);
    if (this.gone.size > maxGone) this.gone.delete(this.gone.keys().next().value as string);
    if (!known) return;
    this.cache.delete(key);
    const last = lastState && lastState.length > 0 ? parse<T>(lastState) : known;
    this.tell(last, handler => handler.onDelete?.(last));
  }

  /** A handler that fails on one object must not keep the others, nor this informer, from going on. */
  private tell(object: Stored<T>, call: (handler: InformerHandler<T>) => void): void {
    for (const handler of this.handlers) {
      try {
        call(handler);
      } catch (err) {
        const { namespace, name } = object.metadata;
        this.deps.logger.error({ err, resource: this.options.type.resource, namespace, name }, 'handler failed');
      }
    }
  }
}

function parse<T extends KubeObject>(data: Uint8Array): Stored<T> {
  return JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString()) as Stored<T>;
}
