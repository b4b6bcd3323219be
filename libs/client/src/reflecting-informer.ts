import { feedFilter as filterOf, isTold, type Feed, type FeedMessage } from './feed';
import type { KubeObject, Stored } from '@naru/api';
import { isReason, systemClock, type Clock, type Logger } from '@naru/foundation';
import { objectKey } from './indexed-cache';
import type { Informer, InformerHandler, InformerOptions, Lister } from './informer-types';
import { ObjectReplica } from './object-replica';
import type { ObjectsClient } from './objects-client';

/** How often to list while the bus is away. */
const pollIntervalMs = 3_000;
const maxRetryDelayMs = 5_000;
/** Messages that may wait for a running list; beyond that the list is simply done again. */
const maxBuffered = 20_000;

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
  private readonly replica: ObjectReplica<T>;
  private readonly clock: Clock;
  /** The last version seen in each partition of the feed. */
  private readonly seen = new Map<string, number>();
  private listing = false;
  private listAgain = false;
  private buffer: FeedMessage[] = [];
  private cancelPoll: (() => void) | undefined;
  private signal: AbortSignal = AbortSignal.abort();

  constructor(
    private readonly options: InformerOptions<T>,
    private readonly deps: InformerDeps,
  ) {
    const { group, resource } = options.type;
    if (!isTold(group, resource)) throw new Error(`an informer of ${resource} would never hear of a change: list them`);
    this.replica = new ObjectReplica(options, deps.logger);
    this.clock = deps.clock ?? systemClock;
  }

  get lister(): Lister<T> {
    return this.replica.cache;
  }

  get hasSynced(): boolean {
    return this.replica.hasSynced;
  }

  addHandler(handler: InformerHandler<T>): void {
    this.replica.addHandler(handler);
  }

  start(signal: AbortSignal): Promise<void> {
    if (!this.signal.aborted) return this.replica.synced;
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
    return this.replica.synced;
  }

  observe(written: Stored<T>): void {
    if (!this.signal.aborted) this.replica.observe(written);
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
    const seen = Math.max(this.seen.get(partition) ?? 0, this.replica.listVersion);
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
    if (type === 'DELETED')
      this.replica.remove(key, version, message.data.length > 0 ? parse<T>(message.data) : undefined);
    else if (message.data.length === 0) void this.fetch(message);
    else this.replica.upsert(parse<T>(message.data));
  }

  /** The feed told that an object changed without showing it. */
  private async fetch(message: FeedMessage): Promise<void> {
    const { namespace, name } = message;
    try {
      this.replica.upsert(
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
        this.replica.replace(list);
        this.seen.clear();
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
  }
}

function parse<T extends KubeObject>(data: Uint8Array): Stored<T> {
  return JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString()) as Stored<T>;
}
