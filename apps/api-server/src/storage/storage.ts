import { StatusError, isReason } from '@naru/foundation';
import type { AnyDefinition, KubeObject, Scheme } from '@naru/api';
import type { Change, Compare, KeyValue, Operation, RangeResult, StoreDriver, StoreUsage } from '@naru/store';
import { encodeObject, withRevision } from './codec';
import { entryKey, type Entry } from './entry';
import type { CacheEvent } from './event-ring';
import type { StoreMetrics, StoreOperation } from './store-metrics';
import { WatchCache } from './watch-cache';

export interface CommittedEvent {
  definition: AnyDefinition;
  event: CacheEvent;
}

/** One write: the object to store, or undefined to delete, if the key is still as it was at `expected` (0: absent). */
export interface Write {
  /** What is written with it, or not at all: claims on what only one may have. */
  claims?: readonly Claim[] | undefined;
  definition: AnyDefinition;
  namespace: string;
  name: string;
  object: KubeObject | undefined;
  /** What `object` encodes to, where that is known already. */
  value?: Buffer | undefined;
  expected: number;
}

/** A key that is put, or without a value deleted, in the transaction of the object that it belongs to. */
export interface Claim {
  key: string;
  value: Buffer | undefined;
  /** As in Write; absent: whatever it is. */
  expected?: number | undefined;
}

export interface StorageOptions {
  /** How long Events are kept; absent: for ever. */
  eventTtlSeconds?: number | undefined;
  /** The store can no longer be followed: only a new start helps. */
  onLost?: ((error: Error) => void) | undefined;
  metrics?: StoreMetrics | undefined;
}

const pageSize = 1000;

/** The store with a watch cache in front of each resource. Reads never touch the store. */
export class Storage {
  private readonly caches = new Map<string, WatchCache>();
  /** What a value on its way to the store encodes, so that the cache need not parse it again. */
  private readonly decoded = new WeakMap<Buffer, KubeObject>();
  private readonly listeners = new Set<(events: readonly CommittedEvent[]) => void>();
  private stopWatch: () => void = () => undefined;
  private failure: Error | undefined;
  private applied = 0;

  constructor(
    private readonly driver: StoreDriver,
    private readonly scheme: Scheme,
    private readonly options: StorageOptions = {},
  ) {}

  /** Loads every resource and begins to follow the store. */
  async start(): Promise<void> {
    const { revision } = this.driver;
    // What others write while this is loading may be more than the driver remembers.
    let early: Change[] | undefined = [];
    this.stopWatch = this.driver.watch('', revision, {
      onChanges: changes => (early ? void early.push(...changes) : this.apply(changes)),
      onError: error => {
        this.failure = error;
        this.options.onLost?.(error);
      },
    });
    for (const definition of this.scheme) {
      if (definition.storedAs || !definition.verbs.includes('watch')) continue;
      const cache = new WatchCache(definition, revision);
      this.caches.set(storagePrefix(definition), cache);
      await this.load(cache, revision);
    }
    this.applied = revision;
    const missed = early;
    early = undefined;
    if (missed.length > 0) this.apply(missed);
  }

  /** How many objects there are of each stored resource. */
  *objectCounts(): Iterable<{ group: string; resource: string; count: number }> {
    for (const { definition, size } of this.caches.values()) {
      const { group, resource } = definition.type;
      yield { group, resource, count: size };
    }
  }

  /** Begins to keep a resource that came after the start. Resolves when all that is stored of it is there. */
  async addResource(definition: AnyDefinition): Promise<void> {
    const prefix = storagePrefix(definition);
    if (this.caches.has(prefix)) throw new Error(`${prefix} is kept already`);
    const cache = new WatchCache(definition, this.applied);
    // From now on the cache hears of changes, also of those that the list below may have missed.
    this.caches.set(prefix, cache);
    await this.load(cache, this.applied);
  }

  /** Forgets a resource; those who watch it are told that it ended. The store keeps what it holds. */
  removeResource(definition: AnyDefinition): void {
    const prefix = storagePrefix(definition);
    this.caches.get(prefix)?.end();
    this.caches.delete(prefix);
  }

  /** The resource has another schema or other selectable fields from now on. */
  redefineResource(definition: AnyDefinition): void {
    this.caches.get(storagePrefix(definition))?.redefine(definition, this.applied);
  }

  private async load(cache: WatchCache, revision: number): Promise<void> {
    const prefix = storagePrefix(cache.definition);
    for (let from = prefix; ;) {
      const ask = (): Promise<RangeResult> => this.driver.range(prefix, { from, limit: pageSize });
      const { items, more } = await this.measure('list', cache.definition, ask);
      // What changed meanwhile has been heard of.
      for (const { value, modRevision } of items) if (modRevision <= revision) cache.load(value, modRevision);
      if (!more) break;
      from = `${items.at(-1)!.key}\0`;
    }
    cache.loaded();
  }

  /**
   * Makes it possible to continue a list that another server began: keeps what was stored from `start` on at `revision`.
   * Where that is not known any more, continuing says so.
   */
  async recallSnapshot(definition: AnyDefinition, revision: number, start: string, nowMs: number): Promise<void> {
    const cache = this.cache(definition);
    if (!this.shared || revision === this.applied || cache.snapshot(revision, nowMs, start)) return;
    const prefix = storagePrefix(cache.definition);
    const entries: Entry[] = [];
    try {
      for (let from = prefix + start; ;) {
        const { items, more } = await this.driver.range(prefix, { from, limit: pageSize, revision });
        for (const { value, modRevision } of items) entries.push(cache.recall(value, modRevision));
        if (!more) break;
        from = `${items.at(-1)!.key}\0`;
      }
      cache.keepRecalled(revision, nowMs, entries, start);
    } catch (error) {
      if (!isReason(error, 'Expired')) throw error;
    }
  }

  /** The revision up to which all caches are complete. */
  get revision(): number {
    return this.applied;
  }

  /**
   * To be awaited, if there is anything to wait for, before a read: then the caches are as new as it demands. "" is the
   * present, "0" whatever there is, N that revision or a later one.
   */
  fresh(resourceVersion: string): Promise<void> | undefined {
    if (resourceVersion === '0' || (resourceVersion !== '' && Number(resourceVersion) <= this.applied))
      return undefined;
    return this.driver.sync?.();
  }

  /** Others write to the same store. */
  get shared(): boolean {
    return this.driver.sync !== undefined;
  }

  /** Throws when the caches no longer follow the store. */
  check(): void {
    if (this.failure) throw this.failure;
  }

  /** The cache that holds a resource's objects (for events.k8s.io events, that of core events). */
  cache(definition: AnyDefinition): WatchCache {
    const cache = this.caches.get(storagePrefix(definition.storedAs ? this.storedDefinition(definition) : definition));
    if (!cache) throw new StatusError('MethodNotAllowed', `${definition.type.resource} are not stored`);
    return cache;
  }

  storedDefinition(definition: AnyDefinition): AnyDefinition {
    if (!definition.storedAs) return definition;
    const { group, version, resource } = definition.storedAs.type;
    // A custom resource need not be served in the version in which it is stored.
    return this.scheme.byResource(group, version, resource) ?? { ...definition, type: definition.storedAs.type };
  }

  get allCaches(): Iterable<WatchCache> {
    return this.caches.values();
  }

  /** Called with each group of commits, in order, after the caches have them. */
  onCommit(listener: (events: readonly CommittedEvent[]) => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  /** Commits one object. Undefined when it was not as expected: read again. Otherwise it is durable and in the cache. */
  async commit(write: Write): Promise<{ bytes: Buffer; revision: number } | undefined> {
    const prefix = storagePrefix(write.definition);
    const key = storageKey(write.definition, write.namespace, write.name);
    const compare: Compare[] = [{ key, modRevision: write.expected }];
    let operation: Operation = { type: 'delete', key };
    if (write.object) {
      const value = write.value ?? encodeObject(write.object);
      this.decoded.set(value, write.object);
      operation = {
        type: 'put',
        key,
        value,
        ttlSeconds: prefix === eventPrefix ? this.options.eventTtlSeconds : undefined,
      };
    }
    const operations = [operation];
    for (const claim of write.claims ?? []) {
      if (claim.expected !== undefined) compare.push({ key: claim.key, modRevision: claim.expected });
      operations.push(toOperation(claim));
    }
    const name = operation.type === 'delete' ? 'delete' : write.expected === 0 ? 'create' : 'update';
    const result = await this.measure(name, write.definition, () => this.driver.txn({ compare, operations }));
    if (!result.committed) return undefined;
    const current = this.caches.get(prefix)?.get(write.namespace, write.name);
    if (current?.revision === result.revision) return { bytes: current.bytes, revision: result.revision };
    if (operation.type === 'delete') return { bytes: Buffer.alloc(0), revision: result.revision };
    return { bytes: withRevision(operation.value, result.revision), revision: result.revision };
  }

  private measure<T>(operation: StoreOperation, { type }: AnyDefinition, ask: () => Promise<T>): Promise<T> {
    return this.options.metrics ? this.options.metrics.measure(operation, type, ask) : ask();
  }

  /** Writes what belongs to no object. False: it was not as expected. */
  async commitClaim(claim: Claim & { ttlSeconds?: number }): Promise<boolean> {
    const { key, expected, ttlSeconds } = claim;
    const compare = expected === undefined ? [] : [{ key, modRevision: expected }];
    const operation = toOperation(claim);
    const operations = [operation.type === 'put' ? { ...operation, ttlSeconds } : operation];
    return (await this.driver.txn({ compare, operations })).committed;
  }

  /** All claims whose keys begin with `prefix`, as they are now. */
  async claims(prefix: string): Promise<KeyValue[]> {
    return (await this.driver.range(prefix)).items;
  }

  usage(): Promise<StoreUsage> {
    return this.driver.usage();
  }

  async close(): Promise<void> {
    this.stopWatch();
    await this.driver.close();
  }

  private apply(changes: readonly Change[]): void {
    const events: CommittedEvent[] = [];
    for (const change of changes) {
      const slash = change.key.indexOf('/', change.key.indexOf('/') + 1) + 1;
      const cache = this.caches.get(change.key.slice(0, slash));
      this.applied = change.revision;
      const event = cache?.apply(change, change.key.slice(slash), this.decoded.get(change.value));
      // The store remembers values for a while; what they encode is needed no more.
      this.decoded.delete(change.value);
      if (cache && event) events.push({ definition: cache.definition, event });
    }
    for (const listener of this.listeners) listener(events);
  }
}

const eventPrefix = 'core/events/';

function toOperation({ key, value }: Claim): Operation {
  return value ? { type: 'put', key, value } : { type: 'delete', key };
}

/** The key of an object in the store. */
export function storageKey(definition: AnyDefinition, namespace: string, name: string): string {
  return storagePrefix(definition) + entryKey(namespace, name);
}

function storagePrefix({ type }: AnyDefinition): string {
  return `${type.group === '' ? 'core' : type.group}/${type.resource}/`;
}

export type { Entry };
