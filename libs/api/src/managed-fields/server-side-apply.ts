import { StatusError } from '@naru/foundation';
import { deepEqual } from '../deep-equal';
import type { KubeObject } from '../types';
import { addedSet, compare } from './compare';
import { applyConflict, type Conflict } from './conflicts';
import {
  changesOf,
  contested,
  entryOf,
  idOf,
  ownable,
  takeAway,
  withoutManagedFields,
  type FieldWriter,
} from './field-manager';
import { difference, intersection, isEmptySet, union, type FieldsV1 } from './fields-v1';
import { isSameManager, setEntries, sortEntries, storedEntries, type ManagedEntry } from './managed-entries';
import { mergeObjects, removeFields } from './merge-objects';
import type { ObjectType } from './merge-type';
import { toFieldSet, withNamedFields } from './to-field-set';
import { isTrackable, maxTrackedFields } from './trackable';

type JsonObject = Record<string, unknown>;

const lastAppliedAnnotation = 'kubectl.kubernetes.io/last-applied-configuration';
const beforeFirstApply = 'before-first-apply';
const kubectlManager = 'kubectl';

export interface ApplyWriter extends FieldWriter {
  force: boolean;
}

/**
 * Server-side apply: puts `config` over `live` (undefined: there is none yet), takes away what this manager applied
 * before and does not now, unless somebody else owns it, and notes the owners. Changes neither argument.
 * @throws StatusError Conflict when others own what would change, unless `force`; RequestEntityTooLarge.
 * Source: apimachinery util/managedfields and structured-merge-diff merge/update.go.
 */
export function serverSideApply(live: KubeObject | undefined, config: KubeObject, writer: ApplyWriter): KubeObject {
  for (const object of [live, config]) if (object) checkApplicable(writer.type, withoutManagedFields(object));
  const current = live ?? emptyOf(config);
  const managers = live ? managersOf(live, writer) : [];
  const result = applyTo(current, managers, config, writer);
  const conflicts = writer.force ? [] : allowed(result.conflicts, current, writer);
  if (conflicts.length > 0) throw applyConflict(conflicts);
  const { object } = result;
  const metadata = { ...(object['metadata'] as object) };
  setEntries(metadata, result.entries);
  const applied = { ...object, metadata } as KubeObject;
  if (writer.manager === kubectlManager) updateLastApplied(applied, config);
  return applied;
}

/** @throws StatusError RequestEntityTooLarge for what has too many fields to be applied. */
export function checkApplicable(type: ObjectType, object: unknown): void {
  if (isTrackable(type, object)) return;
  throw new StatusError(
    'RequestEntityTooLarge',
    `Request entity too large: limit is ${maxTrackedFields} fields for server-side apply; create or update it instead`,
  );
}

function emptyOf({ apiVersion, kind }: KubeObject): KubeObject {
  return { apiVersion, kind, metadata: {} };
}

/** An object that was not tracked so far belongs to whoever wrote it before the first apply. */
function managersOf(live: KubeObject, writer: ApplyWriter): readonly ManagedEntry[] {
  const entries = storedEntries(live.metadata);
  if (entries.length > 0) return entries;
  const all = addedSet(writer.type, withoutManagedFields(live));
  const owned = ownable(all, { resets: () => false });
  return [entryOf({ ...idOf(writer, 'Update'), manager: beforeFirstApply }, owned, writer.now)];
}

interface Applied {
  object: JsonObject;
  entries: ManagedEntry[];
  conflicts: Conflict[];
}

function applyTo(
  live: KubeObject,
  managers: readonly ManagedEntry[],
  config: KubeObject,
  writer: ApplyWriter,
): Applied {
  const { type, now } = writer;
  const id = idOf(writer, 'Apply');
  const before = withoutManagedFields(live);
  const wanted = ownable(toFieldSet(type, config as JsonObject), writer);
  const last = managers.find(entry => isSameManager(entry, id));
  const others = managers.filter(entry => entry !== last);
  const merged = mergeObjects(type, before, config as JsonObject);
  const object = last ? prune(type, merged, last.fieldsV1, [wanted, ...others.map(o => o.fieldsV1)]) : merged;
  const changes = changesOf(live, object as KubeObject, writer);
  const conflicts = others
    .map(entry => ({ entry, fields: contested(entry, changes) }))
    .filter(({ fields }) => !isEmptySet(fields));
  const changed = !isEmptySet(union(union(changes.added, changes.modified), changes.removed));
  const sameAsLast = last && !changed && deepEqual(last.fieldsV1, wanted);
  const mine = sameAsLast ? last : entryOf(id, wanted, changed ? now : (last?.time ?? now));
  return { object, conflicts, entries: sortEntries([...takeAway(others, changes), mine]) };
}

/** Takes from `merged` what was applied last and is owned by nobody now. */
function prune(type: ObjectType, merged: JsonObject, last: FieldsV1, owners: readonly FieldsV1[]): JsonObject {
  if (isEmptySet(last)) return merged;
  const named = (set: FieldsV1): FieldsV1 => withNamedFields(set, type);
  const lastNamed = named(last);
  const mergedNamed = named(toFieldSet(type, merged));
  // First everything goes that was applied last, then what has an owner comes back; then, what this manager never had.
  const without = removeFields(type, merged, lastNamed);
  const owned = named(owners.reduce(union));
  const kept = union(named(toFieldSet(type, without)), owned);
  const withOwned = removeFields(type, merged, difference(mergedNamed, kept));
  const dangling = difference(mergedNamed, named(toFieldSet(type, withOwned)));
  return removeFields(type, merged, intersection(dangling, lastNamed));
}

/**
 * kubectl takes over what its client-side apply wrote: fields that are as the annotation says are no conflict.
 */
function allowed(conflicts: Conflict[], live: KubeObject, { manager, type, apiVersion }: ApplyWriter): Conflict[] {
  if (manager !== kubectlManager || conflicts.length === 0) return conflicts;
  const text = live.metadata?.annotations?.[lastAppliedAnnotation];
  if (!text) return conflicts;
  let applied: KubeObject;
  try {
    applied = JSON.parse(text) as KubeObject;
  } catch {
    return conflicts;
  }
  if (typeof applied !== 'object' || applied === null || applied.apiVersion !== apiVersion) return conflicts;
  const { added, modified, removed } = compare(type, applied as JsonObject, withoutManagedFields(live));
  const same = difference(toFieldSet(type, applied as JsonObject), union(union(added, modified), removed));
  return conflicts
    .map(({ entry, fields }) => ({ entry, fields: difference(fields, same) }))
    .filter(({ fields }) => !isEmptySet(fields));
}

/** The annotation of client-side apply is kept right for clients that still use it. */
function updateLastApplied(object: KubeObject, config: KubeObject): void {
  const annotations = object.metadata?.annotations;
  if (!annotations?.[lastAppliedAnnotation]) return;
  const { [lastAppliedAnnotation]: _, ...rest } = config.metadata?.annotations ?? {};
  const { annotations: _all, ...metadata } = config.metadata ?? {};
  const applied = { ...config, metadata: Object.keys(rest).length > 0 ? { ...metadata, annotations: rest } : metadata };
  object.metadata!.annotations = { ...annotations, [lastAppliedAnnotation]: `${JSON.stringify(applied)}\n` };
}
