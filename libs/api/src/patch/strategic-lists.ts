import { PatchSyntaxError } from './json-patch';
import { isObject } from './merge-patch';

type JsonObject = Record<string, unknown>;

interface Entry {
  readonly key: unknown;
  value: unknown;
}

/**
 * Merges lists of objects by the value of their merge key. Elements of the patch with `$patch: delete` take theirs away,
 * one with `$patch: replace` makes the patch the whole list.
 */
export function mergeKeyedLists(
  original: readonly unknown[],
  patch: readonly unknown[],
  mergeKey: string,
  order: readonly unknown[] | undefined,
  mergeItem: (original: unknown, patch: JsonObject) => JsonObject,
): unknown[] {
  const items = patch.map(item => keyed(item, mergeKey));
  const replaces = items.some(item => item['$patch'] === 'replace');
  // Two elements may have the same key (port 53 by TCP and UDP): the patch is for the first, and both stay.
  let entries: Entry[] = replaces ? [] : original.map(item => ({ key: keyOf(item, mergeKey), value: item }));
  const written: unknown[] = [];
  for (const { $patch: command, ...item } of items) {
    const key = item[mergeKey];
    if (command === 'replace') continue;
    if (command === 'delete') {
      entries = entries.filter(entry => entry.key !== key);
      continue;
    }
    if (command !== undefined && command !== 'merge')
      throw new PatchSyntaxError(`Unknown patch type: ${JSON.stringify(command)}`);
    const found = entries.find(entry => entry.key === key);
    if (found) found.value = mergeItem(found.value, item);
    else entries.push({ key, value: mergeItem(undefined, item) });
    written.push(key);
  }
  const wanted = order ? order.map(item => keyOf(item, mergeKey)) : written;
  const server = original.map(item => keyOf(item, mergeKey));
  return inOrder(entries, wanted, server).map(entry => entry.value);
}

/** The union of lists of plain values (finalizers). */
export function mergePrimitiveLists(
  original: readonly unknown[],
  patch: readonly unknown[],
  order: readonly unknown[] | undefined,
): unknown[] {
  const union = [...new Set([...original, ...patch])].map(value => ({ key: value, value }));
  return inOrder(union, order ?? patch, original).map(entry => entry.value);
}

function keyed(item: unknown, mergeKey: string): JsonObject {
  if (!isObject(item)) throw new PatchSyntaxError(`expected an object with the merge key ${mergeKey} in a list`);
  if (item[mergeKey] === undefined && item['$patch'] !== 'replace')
    throw new PatchSyntaxError(`map: ${JSON.stringify(item)} does not contain declared merge key: ${mergeKey}`);
  return item;
}

function keyOf(item: unknown, mergeKey: string): unknown {
  return isObject(item) ? item[mergeKey] : item;
}

/**
 * Puts `present` in order: the wanted ones in the order of the patch, the others in the server's, merged so that an
 * element of the server goes before a wanted one only when it did so before: what is new comes first.
 * Source: strategicpatch.mergeSortedSlice.
 */
function inOrder(present: readonly Entry[], wanted: readonly unknown[], server: readonly unknown[]): Entry[] {
  const rank = new Map(wanted.map((key, index) => [key, index]));
  const place = new Map(server.map((key, index) => [key, index]));
  const rankOf = (entry: Entry): number => rank.get(entry.key) ?? 0;
  const mine = present.filter(entry => rank.has(entry.key)).sort((a, b) => rankOf(a) - rankOf(b));
  const theirs = present.filter(entry => !rank.has(entry.key));
  const ordered: Entry[] = [];
  let next = 0;
  for (const entry of theirs) {
    while (next < mine.length && !comesBefore(place, entry, mine[next]!)) ordered.push(mine[next++]!);
    ordered.push(entry);
  }
  return ordered.concat(mine.slice(next));
}

/** Whether the server knows both, in this order. */
function comesBefore(place: ReadonlyMap<unknown, number>, first: Entry, second: Entry): boolean {
  const a = place.get(first.key);
  const b = place.get(second.key);
  return a !== undefined && b !== undefined && a < b;
}
