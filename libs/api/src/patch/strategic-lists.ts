import { PatchSyntaxError } from './json-patch';
import { isObject } from './merge-patch';

type JsonObject = Record<string, unknown>;

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
  const byKey = new Map<unknown, unknown>();
  if (!replaces) for (const item of original) byKey.set(keyOf(item, mergeKey), item);
  const written: unknown[] = [];
  for (const item of items) {
    const { $patch: command, ...rest } = item;
    const key = rest[mergeKey];
    if (command === 'delete') {
      byKey.delete(key);
      continue;
    }
    if (command === 'replace') {
      // The mark may stand alone or in an element: upstream drops the element that carries it.
      continue;
    }
    if (command !== undefined && command !== 'merge')
      throw new PatchSyntaxError(`Unknown patch type: ${JSON.stringify(command)}`);
    byKey.set(key, mergeItem(byKey.get(key), rest));
    written.push(key);
  }
  const wanted = order ? order.map(item => (isObject(item) ? item[mergeKey] : item)) : written;
  return orderKeys(
    [...byKey.keys()],
    wanted,
    original.map(item => keyOf(item, mergeKey)),
  ).map(key => byKey.get(key));
}

/** The union of lists of plain values (finalizers). */
export function mergePrimitiveLists(
  original: readonly unknown[],
  patch: readonly unknown[],
  order: readonly unknown[] | undefined,
): unknown[] {
  return orderKeys([...new Set([...original, ...patch])], order ?? patch, original);
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
 * element the server has only comes before those that it does not know.
 */
function orderKeys(present: readonly unknown[], wanted: readonly unknown[], server: readonly unknown[]): unknown[] {
  const rank = new Map(wanted.map((key, index) => [key, index]));
  const place = new Map(server.map((key, index) => [key, index]));
  const left = present.filter(key => rank.has(key)).sort((a, b) => (rank.get(a) ?? 0) - (rank.get(b) ?? 0));
  const right = present.filter(key => !rank.has(key));
  const ordered: unknown[] = [];
  let i = 0;
  let j = 0;
  while (i < left.length || j < right.length) {
    if (j >= right.length) ordered.push(left[i++]);
    else if (i >= left.length) ordered.push(right[j++]);
    else {
      const l = place.get(left[i]);
      const r = place.get(right[j]);
      if (l !== undefined && r !== undefined && l < r) ordered.push(left[i++]);
      else ordered.push(right[j++]);
    }
  }
  return ordered;
}
