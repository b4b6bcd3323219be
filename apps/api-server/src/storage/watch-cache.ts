import { StatusError } from '@naru/foundation';
import type { AnyDefinition, FieldSelector, KubeObject, Selector } from '@naru/api';
import type { Change } from '@naru/store';
import { decodeBytes, encodeObject, replaceRevision, withRevision } from './codec';
import { entryKey, type Entry } from './entry';
import { EventRing, type CacheEvent } from './event-ring';
import { Snapshots } from './snapshots';
import { SortedEntries } from './sorted-entries';

/** What a list or watch asks for. */
export interface Selection {
  /** "" for all. */
  namespace: string;
  labels?: Selector | undefined;
  fields?: FieldSelector | undefined;
  /** Set where the selector speaks of the fields of another kind than the stored one. */
  fieldsOf?: ((entry: Entry) => Readonly<Record<string, string>>) | undefined;
}

export interface CacheListener {
  /** Called for each change in order, in the turn of the commit. Must not throw and must not block. */
  onEvent(event: CacheEvent): void;
  /** The resource is no longer what it was: nothing more will come. */
  onEnd?(): void;
}

/** The field that is worth an index: every kubelet and scheduler asks by it. */
const indexedField = 'spec.nodeName';

export function selects(selection: Selection, entry: Entry): boolean {
  if (selection.namespace !== '' && selection.namespace !== entry.namespace) return false;
  if (selection.labels && !selection.labels.matches(entry.labels)) return false;
  return !selection.fields || selection.fields.matchesFields(selection.fieldsOf?.(entry) ?? entry.fields);
}

/** All objects of one resource as committed bytes, with the latest changes and those who follow them. */
export class WatchCache {
  private readonly entries = new SortedEntries();
  private ring: EventRing;
  /** Keys that were deleted while the first list was on its way; undefined after that. */
  private deletedWhileLoading: Set<string> | undefined = new Set();
  private readonly index: Map<string, Map<string, Entry>> | undefined;
  private readonly listeners = new Set<CacheListener>();
  private readonly snapshots = new Snapshots();
  /** Grows with every change: what is derived from the contents is cached under it. */
  generation = 0;

  constructor(
    private current: AnyDefinition,
    revision: number,
  ) {
    this.ring = new EventRing(revision);
    if (current.selectableFieldNames.includes(indexedField) && !current.schema) this.index = new Map();
  }

  get definition(): AnyDefinition {
    return this.current;
  }

  get size(): number {
    return this.entries.size;
  }

  get(namespace: string, name: string): Entry | undefined {
    return this.entries.get(entryKey(namespace, name));
  }

  /** In key order. Proportional to the answer where the selector names one object or one node. */
  select(selection: Selection): Entry[] {
    const { namespace, labels, fields } = selection;
    const candidates = this.candidates(namespace, fields);
    if ((!labels || labels.empty) && (!fields || fields.empty)) return candidates;
    return candidates.filter(entry => selects(selection, entry));
  }

  /** In no particular order; empty for kinds without a node. */
  podsOfNode(node: string): Entry[] {
    return [...(this.index?.get(node)?.values() ?? [])];
  }

  /** Puts in an object that was in the store when the server started. */
  load(value: Buffer, revision: number): void {
    const object = decodeBytes(value);
    const { namespace = '', name = '' } = object.metadata ?? {};
    const key = entryKey(namespace, name);
    if (this.deletedWhileLoading?.has(key) || (this.entries.get(key)?.revision ?? 0) >= revision) return;
    this.put(this.recall(value, revision));
  }

  /** An object as it once was stored; the one that is kept if it still is so. */
  recall(value: Buffer, revision: number): Entry {
    const object = decodeBytes(value);
    const { namespace = '', name = '' } = object.metadata ?? {};
    const known = this.entries.get(entryKey(namespace, name));
    if (known?.revision === revision) return known;
    const changed = this.current.normalize?.(object) === true;
    return this.toEntry(object, withRevision(changed ? encodeObject(object) : value, revision), revision);
  }

  /** All that was stored has been given to `load`. */
  loaded(): void {
    this.deletedWhileLoading = undefined;
  }

  /**
   * Reads every object again under another definition of the same resource. What came before cannot be watched from any
   * more: selectors saw it with other eyes.
   */
  redefine(definition: AnyDefinition, revision: number): void {
    this.current = definition;
    this.ring = new EventRing(revision);
    this.snapshots.clear();
    this.generation++;
    for (const entry of this.entries.list('')) {
      const object = decodeBytes(entry.bytes);
      const changed = definition.normalize?.(object) === true;
      const bytes = changed ? withRevision(encodeObject(object), entry.revision) : entry.bytes;
      this.put(this.toEntry(object, bytes, entry.revision), entry);
    }
    this.end();
  }

  /** Those who listen are to ask anew. */
  end(): void {
    for (const listener of [...this.listeners]) listener.onEnd?.();
  }

  /** Takes over a committed change; `object` is what `change.value` encodes, when the writer is in this process. */
  apply(change: Change, key: string, object: KubeObject | undefined): CacheEvent | undefined {
    const previous = this.entries.get(key);
    let event: CacheEvent;
    if (change.type === 'delete') {
      this.deletedWhileLoading?.add(key);
      if (!previous) return undefined;
      const bytes = replaceRevision(previous.bytes, change.revision);
      event = {
        type: 'DELETED',
        revision: change.revision,
        entry: { ...previous, bytes, revision: change.revision },
        previous,
      };
      this.remove(previous);
    } else {
      const bytes = withRevision(change.value, change.revision);
      const entry = this.toEntry(object ?? decodeBytes(change.value), bytes, change.revision);
      event = { type: previous ? 'MODIFIED' : 'ADDED', revision: change.revision, entry, previous };
      this.put(entry, previous);
    }
    this.generation++;
    this.ring.push(event);
    for (const listener of this.listeners) listener.onEvent(event);
    return event;
  }

  /** The events after `revision`. @throws StatusError Expired when they are no longer known. */
  eventsAfter(revision: number): CacheEvent[] {
    const events = this.ring.after(revision);
    if (!events)
      throw new StatusError('Expired', `too old resource version: ${revision} (${this.ring.oldest})`, { code: 410 });
    return events;
  }

  listen(listener: CacheListener): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  get listenerCount(): number {
    return this.listeners.size;
  }

  /** Keeps all objects as they are, so that every page of a list shows the same moment. */
  keepSnapshot(revision: number, nowMs: number): void {
    this.snapshots.keep(revision, nowMs, { entries: this.entries.list(''), generation: this.generation });
  }

  /** Keeps what was `recall`ed of a revision, from the key `from` on. */
  keepRecalled(revision: number, nowMs: number, entries: Entry[], from: string): void {
    let bytes = 0;
    for (const entry of entries) if (this.entries.get(entry.key) !== entry) bytes += entry.bytes.length;
    this.snapshots.keep(revision, nowMs, { entries, from, bytes });
  }

  /** What was kept of a revision, if that is still known and reaches back to `from`. */
  snapshot(revision: number, nowMs: number, from: string): Entry[] | undefined {
    return this.snapshots.find(revision, nowMs, from);
  }

  private candidates(namespace: string, fields: FieldSelector | undefined): Entry[] {
    const name = fields?.requiresExactly('metadata.name');
    if (name !== undefined && (namespace !== '' || !this.current.type.namespaced)) {
      const entry = this.get(namespace, name);
      return entry ? [entry] : [];
    }
    const indexed = this.index && fields?.requiresExactly(indexedField);
    // Most pods without a node are few among many, but "" may be asked of a huge backlog too: same answer either way.
    if (indexed === undefined) return this.entries.list(namespace);
    const found = [...(this.index!.get(indexed)?.values() ?? [])];
    found.sort((a, b) => (a.key < b.key ? -1 : 1));
    return namespace === '' ? found : found.filter(entry => entry.namespace === namespace);
  }

  private put(entry: Entry, previous?: Entry): void {
    if (previous && this.index) this.unindex(previous);
    if (previous) this.snapshots.hold(previous);
    this.entries.set(entry);
    if (!this.index) return;
    const value = entry.fields[indexedField] ?? '';
    let found = this.index.get(value);
    if (!found) this.index.set(value, (found = new Map<string, Entry>()));
    found.set(entry.key, entry);
  }

  private remove(entry: Entry): void {
    this.entries.delete(entry.key);
    this.snapshots.hold(entry);
    if (this.index) this.unindex(entry);
  }

  private unindex(entry: Entry): void {
    const value = entry.fields[indexedField] ?? '';
    const found = this.index!.get(value);
    found?.delete(entry.key);
    if (found?.size === 0) this.index!.delete(value);
  }

  private toEntry(object: KubeObject, bytes: Buffer, revision: number): Entry {
    const { name = '', namespace = '', uid = '', labels } = object.metadata ?? {};
    return {
      key: entryKey(namespace, name),
      namespace,
      name,
      uid,
      revision,
      bytes,
      labels,
      fields: this.current.selectableFields(object),
    };
  }
}
