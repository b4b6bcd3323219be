import { setKey } from '../decode/decode-value';

type JsonObject = Record<string, unknown>;

const maxDepth = 200;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** JSON merge patch (RFC 7386). Shares what does not change with `target`, and changes neither argument. */
export function mergePatch(target: unknown, patch: unknown, depth = 0): unknown {
  if (!isObject(patch)) return patch;
  if (depth > maxDepth) throw new RangeError(`exceeded max depth of ${maxDepth}`);
  const merged: JsonObject = isObject(target) ? { ...target } : {};
  for (const key in patch) {
    const value = patch[key];
    if (value === null) delete merged[key];
    else setKey(merged, key, mergePatch(Object.hasOwn(merged, key) ? merged[key] : undefined, value, depth + 1));
  }
  return merged;
}
