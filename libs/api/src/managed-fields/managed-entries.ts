import { deepEqual } from '../deep-equal';
import type { ObjectMeta } from '../types';
import { isEmptySet, leaf, self, sortElements, union, type FieldsV1 } from './fields-v1';
import { isJsonObject } from './merge-type';
import { maxTrackedFields } from './trackable';

/** One entry of metadata.managedFields: who owns which fields, and by which way of writing. */
export interface ManagedEntry {
  readonly manager: string;
  readonly operation: 'Apply' | 'Update';
  readonly apiVersion: string;
  readonly time?: string | undefined;
  readonly fieldsType: 'FieldsV1';
  readonly fieldsV1: FieldsV1;
  readonly subresource?: string | undefined;
}

export type Operation = ManagedEntry['operation'];
/** Who an entry speaks of: there is one entry for each. */
export type ManagerId = Pick<ManagedEntry, 'manager' | 'operation' | 'apiVersion' | 'subresource'>;

/** Entries of updaters beyond this many are merged into one, the oldest first. */
const maxUpdateManagers = 10;
const ancient = 'ancient-changes';
const maxEntries = 1000;
const maxDepth = 200;
const elementPattern = /^[fkvi]:/;

/** Appliers keep their entry over versions. */
export function isSameManager(a: ManagerId, b: ManagerId): boolean {
  return (
    a.manager === b.manager &&
    a.operation === b.operation &&
    (a.subresource ?? '') === (b.subresource ?? '') &&
    (a.operation === 'Apply' || a.apiVersion === b.apiVersion)
  );
}

/** The entries of an object as it was stored. */
export function storedEntries(metadata: ObjectMeta | undefined): readonly ManagedEntry[] {
  return (metadata?.managedFields ?? []) as unknown as readonly ManagedEntry[];
}

/** `[{}]` asks for tracking to begin anew. */
function isReset(entries: readonly object[]): boolean {
  return entries.length === 1 && Object.keys(entries[0]!).length === 0;
}

/**
 * The entries to go on from when an object is written: those that the request names, or the stored ones when it names
 * none, or wrong ones: clients that know nothing of them must not lose them.
 */
export function requestedEntries(live: ObjectMeta | undefined, next: ObjectMeta | undefined): readonly ManagedEntry[] {
  const stored = storedEntries(live);
  const requested = next?.managedFields as unknown as readonly ManagedEntry[] | undefined;
  if (!requested || requested === (stored as unknown) || requested.length === 0) return stored;
  if (isReset(requested)) return [];
  if (deepEqual(requested, stored)) return stored;
  return parseEntries(requested) ?? stored;
}

function parseEntries(entries: readonly ManagedEntry[]): ManagedEntry[] | undefined {
  if (entries.length > maxEntries) return undefined;
  const parsed: ManagedEntry[] = [];
  const budget = { left: maxTrackedFields };
  for (const entry of entries) {
    const { operation, apiVersion, fieldsType } = entry;
    if ((operation !== 'Apply' && operation !== 'Update') || !apiVersion || fieldsType !== 'FieldsV1') return undefined;
    const fieldsV1 = parseFields(entry.fieldsV1 ?? leaf, budget);
    if (!fieldsV1) return undefined;
    parsed.push({ ...entry, manager: entry.manager ?? '', fieldsV1 });
  }
  return parsed;
}

/**
 * A set as a client wrote it, in our form: elements of an unknown kind are dropped, keys are in order. `budget`: how many
 * elements there may be.
 */
function parseFields(fields: unknown, budget: { left: number }, depth = 0): FieldsV1 | undefined {
  if (!isJsonObject(fields) || depth > maxDepth) return undefined;
  const elements = Object.keys(fields);
  if ((budget.left -= elements.length) < 0) return undefined;
  const parsed: Record<string, FieldsV1> = {};
  for (const element of elements) {
    if (element === self) parsed[self] = leaf;
    else if (elementPattern.test(element)) {
      const name = element.startsWith('k:') ? parseKeys(element) : element;
      const inner = parseFields(fields[element], budget, depth + 1);
      if (name === undefined || inner === undefined) return undefined;
      parsed[name] = inner;
    }
  }
  return sortElements(parsed);
}

function parseKeys(element: string): string | undefined {
  try {
    const keys: unknown = JSON.parse(element.slice(2));
    if (!isJsonObject(keys)) return undefined;
    return `k:${JSON.stringify(Object.fromEntries(Object.entries(keys).sort(([a], [b]) => (a < b ? -1 : 1))))}`;
  } catch {
    return undefined;
  }
}

/** Puts entries into the order in which upstream keeps them. */
export function sortEntries(entries: readonly ManagedEntry[]): ManagedEntry[] {
  if (entries.length === 1) return isEmptySet(entries[0]!.fieldsV1) ? [] : [...entries];
  const key = ({ operation, time, manager, apiVersion, subresource }: ManagedEntry): string =>
    [operation, time ?? '', manager, apiVersion, subresource ?? ''].join('\0');
  const keyed = entries.filter(({ fieldsV1 }) => !isEmptySet(fieldsV1)).map(entry => ({ entry, key: key(entry) }));
  return keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)).map(({ entry }) => entry);
}

/** Merges the oldest updaters of a version until there are few enough. */
export function capUpdaters(entries: readonly ManagedEntry[]): readonly ManagedEntry[] {
  const updaters = entries.filter(({ operation }) => operation === 'Update');
  let excess = updaters.length - maxUpdateManagers;
  if (excess <= 0) return entries;
  const oldestFirst = updaters.sort((a, b) => ((a.time ?? '') < (b.time ?? '') ? -1 : 1));
  const buckets = new Map<string, ManagedEntry>();
  const gone = new Set<ManagedEntry>();
  for (const entry of oldestFirst) {
    if (excess <= 0) break;
    gone.add(entry);
    const bucket = buckets.get(entry.apiVersion);
    if (!bucket) {
      buckets.set(entry.apiVersion, entry);
      continue;
    }
    const { apiVersion, time } = entry;
    const fieldsV1 = union(bucket.fieldsV1, entry.fieldsV1);
    buckets.set(apiVersion, {
      manager: ancient,
      operation: 'Update',
      apiVersion,
      time,
      fieldsType: 'FieldsV1',
      fieldsV1,
    });
    excess--;
  }
  return [...entries.filter(entry => !gone.has(entry)), ...buckets.values()];
}

/** Stores entries in metadata, or nothing when there are none. */
export function setEntries(metadata: ObjectMeta, entries: readonly ManagedEntry[]): void {
  if (entries.length > 0) metadata.managedFields = entries as unknown as NonNullable<ObjectMeta['managedFields']>;
  else delete metadata.managedFields;
}

/** Whether two lists of entries differ in nothing but when. */
export function sameButTimes(a: readonly ManagedEntry[], b: readonly ManagedEntry[]): boolean {
  if (a.length !== b.length) return false;
  // Times are part of the order: each entry looks for its own.
  return a.every(entry => {
    const other = b.find(candidate => isSameManager(entry, candidate));
    return other !== undefined && deepEqual({ ...entry, time: '' }, { ...other, time: '' });
  });
}
