import jsonPatch, { type Operation } from 'fast-json-patch';
import type { Patch } from '@naru/client';

type Tree = Record<string, unknown>;

/** Keys by which the lists of the kinds that tests patch are merged. */
const mergeKeys: Record<string, string[]> = {
  conditions: ['type'],
  containers: ['name'],
  initContainers: ['name'],
  containerStatuses: [],
  addresses: ['type'],
  ownerReferences: ['uid'],
};

const deletePrefix = '$deleteFromPrimitiveList/';

/** Applies a patch in place. Strategic merges know the few list keys that tests need. */
export function mergeInto(target: Tree, patch: Patch): void {
  if (patch.type === 'json') jsonPatch.applyPatch(target, patch.body as Operation[]);
  else merge(target, patch.body as Tree, patch.type === 'strategic');
}

function merge(target: Tree, patch: Tree, strategic: boolean): void {
  for (const [key, value] of Object.entries(patch)) {
    const [mergeKey] = mergeKeys[key] ?? [];
    if (strategic && key.startsWith(deletePrefix)) {
      const list = key.slice(deletePrefix.length);
      const gone = value as unknown[];
      target[list] = ((target[list] as unknown[] | undefined) ?? []).filter(item => !gone.includes(item));
    } else if (value === null) delete target[key];
    else if (Array.isArray(value) && strategic && mergeKey && Array.isArray(target[key])) {
      target[key] = mergeList(target[key] as Tree[], value as Tree[], mergeKey);
    } else if (typeof value === 'object' && !Array.isArray(value)) {
      const child = target[key];
      const into = typeof child === 'object' && child !== null && !Array.isArray(child) ? (child as Tree) : {};
      merge(into, value as Tree, strategic);
      target[key] = into;
    } else target[key] = value;
  }
}

function mergeList(old: Tree[], patch: Tree[], mergeKey: string): Tree[] {
  const result = [...old];
  for (const item of patch) {
    const at = result.findIndex(entry => entry[mergeKey] === item[mergeKey]);
    if (item['$patch'] === 'delete') {
      if (at >= 0) result.splice(at, 1);
    } else if (at >= 0) {
      const merged = { ...result[at] };
      merge(merged, item, true);
      result[at] = merged;
    } else result.push(item);
  }
  return result;
}
