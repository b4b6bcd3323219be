import type { KubeObject, ObjectMeta } from '../types';
import { compare, type Comparison } from './compare';
import { createdSet } from './created-fields';
import { difference, emptySet, intersection, isEmptySet, leaf, union, type FieldsV1 } from './fields-v1';
import {
  capUpdaters,
  isSameManager,
  requestedEntries,
  setEntries,
  sortEntries,
  storedEntries,
  type ManagedEntry,
  type ManagerId,
  type Operation,
} from './managed-entries';
import type { ObjectType } from './merge-type';
import { isTrackable } from './trackable';

type JsonObject = Record<string, unknown>;

/** One write, as tracking sees it. */
export interface FieldWriter {
  type: ObjectType;
  /** Of the request: "apps/v1". */
  apiVersion: string;
  manager: string;
  /** "" for the object itself. */
  subresource: string;
  /** RFC 3339, whole seconds. */
  now: string;
  /** Members of the object that this way of writing leaves as they are: "status", or all others. */
  resets(field: string): boolean;
}

/** What nobody owns: identity and what the server keeps. */
const strippedSet: FieldsV1 = {
  'f:apiVersion': leaf,
  'f:kind': leaf,
  'f:metadata': {
    '.': leaf,
    'f:name': leaf,
    'f:namespace': leaf,
    'f:creationTimestamp': leaf,
    'f:selfLink': leaf,
    'f:uid': leaf,
    'f:clusterName': leaf,
    'f:generation': leaf,
    'f:managedFields': leaf,
    'f:resourceVersion': leaf,
  },
};

/** The fields of a set that count for this writer. */
export function ownable(set: FieldsV1, { resets }: Pick<FieldWriter, 'resets'>): FieldsV1 {
  let kept: Record<string, FieldsV1> | undefined;
  for (const element in set) {
    if (!resets(element.slice(2))) continue;
    delete (kept ??= { ...set })[element];
  }
  return difference(kept ?? set, strippedSet);
}

export function idOf({ manager, apiVersion, subresource }: FieldWriter, operation: Operation): ManagerId {
  return { manager, operation, apiVersion, ...(subresource === '' ? {} : { subresource }) };
}

export function withoutManagedFields(object: KubeObject): JsonObject {
  const { managedFields: _, ...metadata } = object.metadata ?? {};
  return { ...object, metadata };
}

/** The members of an object that this writer can change: the others are not compared. */
function inScope(object: KubeObject, { resets }: FieldWriter): JsonObject {
  const scoped = withoutManagedFields(object);
  for (const key in scoped) if (resets(key)) delete scoped[key];
  return scoped;
}

/** Notes in `object` that the writer made all of it. An object that has too many fields is not tracked. */
export function trackCreate(object: KubeObject, writer: FieldWriter): void {
  const metadata = (object.metadata ??= {});
  const owned = createdSet(writer.type, inScope(object, writer), set => ownable(set, writer));
  if (!owned) {
    delete metadata.managedFields;
    return;
  }
  const requested = requestedEntries(undefined, metadata);
  const mine = entryOf(idOf(writer, 'Update'), owned, writer.now);
  setEntries(metadata, requested.length === 0 ? sortEntries([mine]) : withUpdate(requested, noChange, mine));
}

const noChange: Comparison = { added: emptySet, modified: emptySet, removed: emptySet };

/**
 * Notes in `next` who owns its fields after this update of `live`: what changed belongs to the writer and to nobody
 * else. Objects that were never tracked, or have too many fields, stay so. Source: apimachinery util/managedfields, fieldmanager.Update.
 */
export function trackUpdate(live: KubeObject, next: KubeObject, writer: FieldWriter): void {
  const metadata = (next.metadata ??= {});
  const entries = writer.subresource === '' ? requestedEntries(live.metadata, metadata) : storedEntries(live.metadata);
  if (entries.length === 0 || !isTrackable(writer.type, inScope(next, writer))) {
    delete metadata.managedFields;
    return;
  }
  const changes = changesOf(live, next, writer);
  const owned = ownable(union(changes.modified, changes.added), writer);
  const mine = isEmptySet(owned) ? undefined : entryOf(idOf(writer, 'Update'), owned, writer.now);
  if (!mine && isEmptySet(changes.removed)) setEntries(metadata, entries);
  else setEntries(metadata, withUpdate(entries, changes, mine));
}

export function changesOf(live: KubeObject, next: KubeObject, writer: FieldWriter): Comparison {
  return compare(writer.type, inScope(live, writer), inScope(next, writer));
}

export function entryOf(id: ManagerId, fields: FieldsV1, time: string | undefined): ManagedEntry {
  const { manager, operation, apiVersion, subresource } = id;
  return {
    manager,
    operation,
    apiVersion,
    ...(time === undefined ? {} : { time }),
    fieldsType: 'FieldsV1',
    fieldsV1: fields,
    ...(subresource ? { subresource } : {}),
  };
}

function withUpdate(
  entries: readonly ManagedEntry[],
  changes: Comparison,
  mine: ManagedEntry | undefined,
): ManagedEntry[] {
  const rest = takeAway(entries, changes);
  if (!mine) return sortEntries(rest);
  const index = rest.findIndex(entry => isSameManager(entry, mine));
  if (index < 0) rest.push(mine);
  else rest[index] = { ...mine, fieldsV1: union(rest[index]!.fieldsV1, mine.fieldsV1) };
  return sortEntries(capUpdaters(rest));
}

/** Takes from every owner what changed or went away; what does not change keeps its entry. */
export function takeAway(
  entries: readonly ManagedEntry[],
  { modified, added, removed }: Comparison,
  except?: ManagerId,
): ManagedEntry[] {
  const lost = union(union(modified, added), removed);
  return entries.map(entry => {
    if (except && isSameManager(entry, except)) return entry;
    const fieldsV1 = difference(entry.fieldsV1, lost);
    return fieldsV1 === entry.fieldsV1 ? entry : { ...entry, fieldsV1 };
  });
}

/** What `entry` owns of that which changed. */
export function contested(entry: ManagedEntry, { modified, added }: Comparison): FieldsV1 {
  return intersection(entry.fieldsV1, union(modified, added));
}

export type { ObjectMeta };
