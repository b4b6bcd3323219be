import { randomUUID } from 'node:crypto';
import { apiVersionOf, type KubeObject, type ObjectList, type ResourceType, type Stored } from '@naru/api';
import {
  InformerFactory,
  type DeleteOptions,
  type Feed,
  type FeedEventType,
  type FeedListener,
  type ListOptions,
  type ObjectKey,
  type ObjectsClient,
  type Patch,
  type WriteOptions,
} from '@naru/client';
import { StatusError, formatTime, silentLogger, systemClock, type Clock } from '@naru/foundation';
import { mergeInto } from './merge';

interface Subscription {
  group: string;
  resource: string;
  partition: string | undefined;
  listener: FeedListener;
}

type Tree = Record<string, unknown>;

/** Every call that writes, in order, for tests that assert how little was written. */
export interface RecordedWrite {
  verb: 'create' | 'update' | 'patch' | 'delete';
  resource: string;
  key: string;
  subresource: string;
}

/**
 * The API in memory for unit tests: optimistic concurrency, finalizers, graceful deletion of pods, status kept apart from
 * spec, selectors, bindings, and a feed. It neither defaults nor validates.
 *
 * Faults: `failNext` makes the next matching write fail; `dropEvents` loses feed messages, whose gap the readers notice.
 */
export class MemoryObjects implements ObjectsClient, Feed {
  readonly writes: RecordedWrite[] = [];
  dropEvents = false;
  private readonly objects = new Map<string, Map<string, Stored<KubeObject>>>();
  private readonly subscriptions = new Set<Subscription>();
  private readonly chain = new Map<string, number>();
  private readonly failures: { matches: (write: RecordedWrite) => boolean; error: StatusError }[] = [];
  /** Of the last change. */
  version = 1;

  constructor(
    private readonly clock: Clock = systemClock,
    private readonly newUid: () => string = randomUUID,
  ) {}

  /** Informers over this API. */
  informers(): InformerFactory {
    return new InformerFactory({ client: this, feed: this, logger: silentLogger, clock: this.clock });
  }

  /** The next write for which `matches` holds fails with `error`, once. */
  failNext(error: StatusError, matches: (write: RecordedWrite) => boolean = () => true): void {
    this.failures.push({ matches, error });
  }

  /** Puts an object there as if it had always been, without recording a write. Missing metadata is filled in. */
  seed<T extends KubeObject>(type: ResourceType<T>, object: T): Stored<T> {
    return this.insert(type, object);
  }

  /** Somebody else's write that changes nothing but the version of one object; `choose` gets the number of objects. */
  touch(choose: (count: number) => number): void {
    const all = [...this.objects].flatMap(([table, objects]) =>
      [...objects.values()].map(object => ({ table, object })),
    );
    const chosen = all[choose(all.length)];
    if (!chosen) return;
    const [group = '', resource = ''] = chosen.table.split('/');
    this.commit({ group, resource } as ResourceType, structuredClone(chosen.object), 'MODIFIED');
  }

  async get<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey): Promise<Stored<T>> {
    return structuredClone(this.find(type, key)) as Stored<T>;
  }

  async list<T extends KubeObject>(type: ResourceType<T>, options: ListOptions = {}): Promise<ObjectList<Stored<T>>> {
    const items = [...(this.objects.get(tableName(type))?.values() ?? [])].filter(
      object =>
        (options.namespace === undefined || object.metadata.namespace === options.namespace) &&
        matchesTerms(options.labelSelector, name => object.metadata.labels?.[name]) &&
        matchesTerms(options.fieldSelector, path => readField(object, path)),
    );
    return { metadata: { resourceVersion: String(this.version) }, items: structuredClone(items) as Stored<T>[] };
  }

  async create<T extends KubeObject>(type: ResourceType<T>, object: T, _options?: WriteOptions): Promise<Stored<T>> {
    const draft = structuredClone(object);
    const { namespace, name, generateName } = draft.metadata ?? {};
    const key = { namespace, name: name ?? this.generate(type, namespace, generateName ?? '') };
    this.note('create', type, key, '');
    if (this.objects.get(tableName(type))?.has(keyOf(key))) {
      throw new StatusError('AlreadyExists', `${type.resource} "${key.name}" already exists`);
    }
    draft.metadata = { ...draft.metadata, name: key.name };
    return structuredClone(this.insert(type, draft));
  }

  async createSubresource<Body extends KubeObject, Answer = Body>(
    type: ResourceType,
    key: ObjectKey,
    subresource: string,
    body: Body,
  ): Promise<Answer> {
    this.note('create', type, key, subresource);
    const object = structuredClone(this.find(type, key)) as Stored<KubeObject> & { spec: Tree; status?: Tree };
    if (subresource === 'binding') {
      if (object.spec['nodeName']) throw new StatusError('Conflict', `pod ${key.name} is already assigned to a node`);
      object.spec['nodeName'] = (body as unknown as { target: { name: string } }).target.name;
      this.commit(type, object, 'MODIFIED');
    } else if (subresource === 'eviction') await this.delete(type, key);
    else throw new StatusError('NotFound', `there is no subresource ${subresource} in memory`);
    return { kind: 'Status', apiVersion: 'v1', status: 'Success' } as Answer;
  }

  async update<T extends KubeObject>(type: ResourceType<T>, object: T, options: WriteOptions = {}): Promise<Stored<T>> {
    const key = { namespace: object.metadata?.namespace, name: object.metadata?.name ?? '' };
    this.note('update', type, key, options.subresource ?? '');
    return this.replace(type, key, structuredClone(object), options.subresource);
  }

  async patch<T extends KubeObject>(
    type: ResourceType<T>,
    key: ObjectKey,
    patch: Patch,
    options: WriteOptions = {},
  ): Promise<Stored<T>> {
    this.note('patch', type, key, options.subresource ?? '');
    const next = structuredClone(this.find(type, key)) as Stored<T>;
    mergeInto(next as unknown as Tree, patch);
    return this.replace(type, key, next, options.subresource);
  }

  async delete(type: ResourceType, key: ObjectKey, options: DeleteOptions = {}): Promise<void> {
    this.note('delete', type, key, '');
    const object = structuredClone(this.find(type, key)) as Stored<KubeObject> & { spec?: Tree };
    const { preconditions, gracePeriodSeconds } = options;
    if (preconditions?.uid && preconditions.uid !== object.metadata.uid) {
      throw new StatusError('Conflict', `the UID in the precondition does not match the UID in record`);
    }
    const grace = gracePeriodSeconds ?? Number(object.spec?.['terminationGracePeriodSeconds'] ?? 30);
    const graceful = type.resource === 'pods' && Boolean(object.spec?.['nodeName']) && grace > 0;
    if (!graceful && !object.metadata.finalizers?.length) return this.drop(type, object);
    // Held by finalizers only: the grace is over.
    const ended = grace === 0 && Boolean(object.metadata.deletionGracePeriodSeconds);
    if (object.metadata.deletionTimestamp && !graceful && !ended) return;
    if (ended) object.metadata.deletionGracePeriodSeconds = 0;
    object.metadata.deletionTimestamp ??= formatTime(this.clock.now() + (graceful ? grace * 1000 : 0));
    if (graceful) object.metadata.deletionGracePeriodSeconds = grace;
    this.commit(type, object, 'MODIFIED');
  }

  async deleteCollection(type: ResourceType, selection: ListOptions, options?: DeleteOptions): Promise<void> {
    for (const { metadata } of (await this.list(type, selection)).items) {
      await this.delete(type, { namespace: metadata.namespace, name: metadata.name }, options);
    }
  }

  subscribe(filter: string, listener: FeedListener, signal: AbortSignal): void {
    const [, group = '', resource = '', partition = '*'] = filter.split('.');
    const subscription = {
      group: group === 'core' ? '' : decodeURIComponent(group),
      resource,
      partition: partition === '*' ? undefined : decodeURIComponent(partition),
      listener,
    };
    this.subscriptions.add(subscription);
    signal.addEventListener('abort', () => this.subscriptions.delete(subscription));
    queueMicrotask(() => listener.onLive());
  }

  async close(): Promise<void> {
    this.subscriptions.clear();
  }

  private note(verb: RecordedWrite['verb'], type: ResourceType, key: ObjectKey, subresource: string): void {
    const write = { verb, resource: type.resource, key: keyOf(key), subresource };
    const at = this.failures.findIndex(failure => failure.matches(write));
    if (at >= 0) throw this.failures.splice(at, 1)[0]?.error;
    this.writes.push(write);
  }

  /** Five characters alone would soon be those of another. */
  private generate(type: ResourceType, namespace: string | undefined, prefix: string): string {
    for (;;) {
      const name = `${prefix}${this.newUid().slice(0, 5)}`;
      if (!this.objects.get(tableName(type))?.has(keyOf({ namespace, name }))) return name;
    }
  }

  private find(type: ResourceType, key: ObjectKey): Stored<KubeObject> {
    const object = this.objects.get(tableName(type))?.get(keyOf(key));
    if (!object) throw new StatusError('NotFound', `${type.resource} "${key.name}" not found`);
    return object;
  }

  private insert<T extends KubeObject>(type: ResourceType<T>, object: T): Stored<T> {
    const stored = structuredClone(object) as Stored<T>;
    stored.apiVersion ??= apiVersionOf(type);
    stored.kind ??= type.kind;
    stored.metadata.uid ??= this.newUid();
    stored.metadata.generation ??= 1;
    stored.metadata.creationTimestamp ??= formatTime(this.clock.now());
    return this.commit(type, stored, 'ADDED');
  }

  private replace<T extends KubeObject>(
    type: ResourceType<T>,
    key: ObjectKey,
    next: T,
    subresource?: string,
  ): Stored<T> {
    const old = this.find(type, key) as Stored<T> & Tree;
    const wanted = next.metadata?.resourceVersion;
    if (wanted && wanted !== old.metadata.resourceVersion) {
      throw new StatusError(
        'Conflict',
        `Operation cannot be fulfilled on ${type.resource} "${key.name}": the object has been modified`,
      );
    }
    const merged = (subresource === 'status'
      ? { ...structuredClone(old), status: (next as Tree)['status'] }
      : { ...next, status: old['status'] ?? (next as Tree)['status'] }) as unknown as Stored<T> & Tree;
    merged.metadata.uid = old.metadata.uid;
    if (JSON.stringify(merged['spec']) !== JSON.stringify(old['spec'])) {
      merged.metadata.generation = (old.metadata.generation ?? 0) + 1;
    }
    if (
      old.metadata.deletionTimestamp &&
      !merged.metadata.finalizers?.length &&
      !merged.metadata.deletionGracePeriodSeconds
    ) {
      this.drop(type, merged);
      return merged;
    }
    if (JSON.stringify(merged) === JSON.stringify(old)) return structuredClone(old);
    return structuredClone(this.commit(type, merged, 'MODIFIED'));
  }

  private drop(type: ResourceType, object: Stored<KubeObject>): void {
    this.objects.get(tableName(type))?.delete(keyOf(object.metadata));
    object.metadata.resourceVersion = String(++this.version);
    this.publish(type, object, 'DELETED');
  }

  private commit<T extends KubeObject>(type: ResourceType<T>, object: Stored<T>, event: FeedEventType): Stored<T> {
    object.metadata.resourceVersion = String(++this.version);
    const table = this.objects.get(tableName(type)) ?? new Map<string, Stored<KubeObject>>();
    this.objects.set(tableName(type), table);
    table.set(keyOf(object.metadata), object as Stored<KubeObject>);
    this.publish(type, object, event);
    return object;
  }

  private publish(type: ResourceType, object: Stored<KubeObject>, event: FeedEventType): void {
    const nodeName = (object as unknown as { spec?: { nodeName?: string } }).spec?.nodeName;
    const partition = type.resource === 'pods' ? (nodeName ?? '_') : '_';
    const version = Number(object.metadata.resourceVersion);
    const chainKey = `${tableName(type)}/${partition}`;
    const previous = this.chain.get(chainKey);
    this.chain.set(chainKey, version);
    if (this.dropEvents) return;
    const data = Buffer.from(JSON.stringify(object));
    const { namespace = '', name } = object.metadata;
    for (const subscription of this.subscriptions) {
      if (subscription.group !== type.group || subscription.resource !== type.resource) continue;
      if (subscription.partition !== undefined && subscription.partition !== partition) continue;
      queueMicrotask(() =>
        subscription.listener.onMessage({ type: event, version, previous, partition, namespace, name, data }),
      );
    }
  }
}

function tableName(type: ResourceType): string {
  return `${type.group}/${type.resource}`;
}

function keyOf(key: { namespace?: string | undefined; name?: string | undefined }): string {
  return key.namespace ? `${key.namespace}/${key.name ?? ''}` : (key.name ?? '');
}

/** Equality terms only: `a=b,c!=d`. */
function matchesTerms(selector: string | undefined, read: (name: string) => string | undefined): boolean {
  if (!selector) return true;
  return selector.split(',').every(term => {
    const [, name = '', operator, value = ''] = /^([^=!]+)(==?|!=)(.*)$/.exec(term) ?? [];
    return operator === '!=' ? read(name) !== value : (read(name) ?? '') === value;
  });
}

function readField(object: unknown, path: string): string | undefined {
  let value = object;
  for (const part of path.split('.')) value = (value as Tree | undefined)?.[part];
  return value === undefined ? undefined : String(value);
}
