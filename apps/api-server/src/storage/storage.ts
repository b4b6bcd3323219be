import { StatusError } from '@naru/foundation';
import type { AnyDefinition, KubeObject, Scheme } from '@naru/api';
import type { Change, Compare, Operation, StoreDriver } from '@naru/store';
import { encodeObject, withRevision } from './codec';
import { entryKey, type Entry } from './entry';
import type { CacheEvent } from './event-ring';
import { WatchCache } from './watch-cache';

export interface CommittedEvent {
  definition: AnyDefinition;
  event: CacheEvent;
}

/** One write: the object to store, or undefined to delete, if the key is still as it was at `expected` (0: absent). */
export interface Write {
  definition: AnyDefinition;
  namespace: string;
  name: string;
  object: KubeObject | undefined;
  /** What `object` encodes to, where that is known already. */
  value?: Buffer | undefined;
  expected: number;
}

const pageSize = 1000;

/** The store with a watch cache in front of each resource. Reads never touch the store. */
export class Storage {
  private readonly caches = new Map<string, WatchCache>();
  /** What a value on its way to the store encodes, so that the cache need not parse it again. */
  private readonly decoded = new WeakMap<Buffer, KubeObject>();
  private readonly listeners = new Set<(events: readonly CommittedEvent[]) => void>();
  private readonly waiters: { revision: number; resolve: () => void }[] = [];
  private stopWatch: () => void = () => undefined;
  private failure: Error | undefined;
  private applied = 0;

  constructor(
    private readonly driver: StoreDriver,
    private readonly scheme: Scheme,
  ) {}

  /** Loads every resource and begins to follow the store. */
  async start(): Promise<void> {
    const { revision } = this.driver;
    for (const definition of this.scheme) {
      if (definition.storedAs || !definition.verbs.includes('watch')) continue;
      const cache = new WatchCache(definition, revision);
      this.caches.set(storagePrefix(definition), cache);
      await this.load(cache, revision);
    }
    this.applied = revision;
    this.stopWatch = this.driver.watch('', revision, {
      onChanges: changes => this.apply(changes),
      onError: error => {
        this.failure = error;
      },
    });
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
    let after = '';
    for (;;) {
      const { items, more } = await this.driver.range(prefix, { after, limit: pageSize });
      for (const { value, modRevision, key } of items) {
        // What changed meanwhile has been heard of.
        if (modRevision <= revision) cache.load(value, modRevision);
        after = key;
      }
      if (!more) break;
    }
    cache.loaded();
  }

  /** The revision up to which all caches are complete. */
  get revision(): number {
    return this.applied;
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
    const key = prefix + entryKey(write.namespace, write.name);
    const compare: Compare[] = [{ key, modRevision: write.expected }];
    let operation: Operation = { type: 'delete', key };
    if (write.object) {
      const value = write.value ?? encodeObject(write.object);
      this.decoded.set(value, write.object);
      operation = { type: 'put', key, value };
    }
    const result = await this.driver.txn({ compare, operations: [operation] });
    if (this.applied < result.revision) await this.reached(result.revision);
    if (!result.committed) return undefined;
    const current = this.caches.get(prefix)?.get(write.namespace, write.name);
    if (current?.revision === result.revision) return { bytes: current.bytes, revision: result.revision };
    if (operation.type === 'delete') return { bytes: Buffer.alloc(0), revision: result.revision };
    return { bytes: withRevision(operation.value, result.revision), revision: result.revision };
  }

  async close(): Promise<void> {
    this.stopWatch();
    await this.driver.close();
  }

  /** With a store in this process the caches are ahead of the answer; with a remote one they may lag. */
  private reached(revision: number): Promise<void> {
    return new Promise(resolve => this.waiters.push({ revision, resolve }));
  }

  private apply(changes: readonly Change[]): void {
    const events: CommittedEvent[] = [];
    for (const change of changes) {
      const slash = change.key.indexOf('/', change.key.indexOf('/') + 1) + 1;
      const cache = this.caches.get(change.key.slice(0, slash));
      this.applied = change.revision;
      const event = cache?.apply(change, change.key.slice(slash), this.decoded.get(change.value));
      if (cache && event) events.push({ definition: cache.definition, event });
    }
    for (const listener of this.listeners) listener(events);
    if (this.waiters.length === 0) return;
    for (const waiter of this.waiters.splice(0)) {
      if (waiter.revision <= this.applied) waiter.resolve();
      else this.waiters.push(waiter);
    }
  }
}

function storagePrefix({ type }: AnyDefinition): string {
  return `${type.group === '' ? 'core' : type.group}/${type.resource}/`;
}

export type { Entry };
