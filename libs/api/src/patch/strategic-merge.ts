import { setKey } from '../decode/decode-value';
import { mergeRule } from '../schema/patch-keys';
import type { TypeSchema, ValueSchema } from '../schema/types';
import { PatchSyntaxError } from './json-patch';
import { isObject } from './merge-patch';
import { mergeKeyedLists, mergePrimitiveLists } from './strategic-lists';

type JsonObject = Record<string, unknown>;

const directive = '$patch';
const retainKeysDirective = '$retainKeys';
const setElementOrderPrefix = '$setElementOrder/';
const deleteFromPrimitiveListPrefix = '$deleteFromPrimitiveList/';
const maxDepth = 200;

/**
 * Strategic merge patch: a merge patch in which the lists that have a merge key merge by it, with the directives
 * $patch (replace, delete, merge), $retainKeys, $setElementOrder/LIST and $deleteFromPrimitiveList/LIST.
 * Shares what does not change with `original`, and changes neither argument. @throws PatchSyntaxError
 * Source: apimachinery util/strategicpatch.
 */
export function strategicMerge(
  original: unknown,
  patch: JsonObject,
  type: TypeSchema | undefined,
  depth = 0,
): JsonObject {
  if (depth > maxDepth) throw new PatchSyntaxError(`exceeded max depth of ${maxDepth}`);
  const command = patch[directive];
  if (command !== undefined) {
    if (command === 'delete') return {};
    if (command === 'replace') return strategicMerge({}, without(patch, directive), type, depth);
    if (command !== 'merge') throw new PatchSyntaxError(`Unknown patch type: ${JSON.stringify(command)}`);
  }
  const merged = retain(isObject(original) ? original : {}, patch[retainKeysDirective]);
  for (const key in patch) {
    if (key === directive || key === retainKeysDirective) continue;
    if (key.startsWith(setElementOrderPrefix)) {
      const list = key.slice(setElementOrderPrefix.length);
      if (!(list in patch)) mergeList(merged, list, undefined, patch, type, depth);
    } else if (key.startsWith(deleteFromPrimitiveListPrefix)) {
      const list = key.slice(deleteFromPrimitiveListPrefix.length);
      const gone = new Set(asList(patch[key], key));
      const current = merged[list];
      if (Array.isArray(current)) merged[list] = current.filter(item => !gone.has(item));
    } else {
      mergeField(merged, key, patch, type, depth);
    }
  }
  return merged;
}

function mergeField(
  merged: JsonObject,
  key: string,
  patch: JsonObject,
  type: TypeSchema | undefined,
  depth: number,
): void {
  const value = patch[key];
  if (value === null) {
    delete merged[key];
    return;
  }
  if (Array.isArray(value)) {
    mergeList(merged, key, value as unknown[], patch, type, depth);
    return;
  }
  if (!isObject(value)) {
    setKey(merged, key, value);
    return;
  }
  const rule = type ? mergeRule(type.bareName, key) : undefined;
  const base = rule?.replace || !Object.hasOwn(merged, key) ? {} : merged[key];
  setKey(merged, key, strategicMerge(base, value, childType(type?.fields.get(key)?.value), depth + 1));
}

function mergeList(
  merged: JsonObject,
  key: string,
  value: unknown[] | undefined,
  patch: JsonObject,
  type: TypeSchema | undefined,
  depth: number,
): void {
  const rule = type ? mergeRule(type.bareName, key) : undefined;
  const current = merged[key];
  const original = Array.isArray(current) ? (current as unknown[]) : [];
  const orderKey = setElementOrderPrefix + key;
  const order = patch[orderKey] === undefined ? undefined : asList(patch[orderKey], orderKey);
  if (!rule?.merge) {
    if (value)
      setKey(
        merged,
        key,
        value.map(item => stripDirectives(item, depth)),
      );
    return;
  }
  if (!value && current === undefined) return;
  const of = type?.fields.get(key)?.value.of;
  const { mergeKey } = rule;
  merged[key] = mergeKey
    ? mergeKeyedLists(original, value ?? [], mergeKey, order, (from, by) =>
        strategicMerge(from, by, childType(of), depth + 1),
      )
    : mergePrimitiveLists(original, value ?? [], order);
}

function childType(value: ValueSchema | undefined): TypeSchema | undefined {
  if (value?.code === '#') return value.type;
  return value?.code === '{' || value?.code === '[' ? childType(value.of) : undefined;
}

function asList(value: unknown, key: string): unknown[] {
  if (!Array.isArray(value)) throw new PatchSyntaxError(`${key} must be a list`);
  return value;
}

function without(object: JsonObject, key: string): JsonObject {
  const { [key]: _gone, ...rest } = object;
  return rest;
}

function retain(original: JsonObject, keys: unknown): JsonObject {
  if (keys === undefined) return { ...original };
  const kept: JsonObject = {};
  for (const key of asList(keys, retainKeysDirective))
    if (typeof key === 'string' && Object.hasOwn(original, key)) setKey(kept, key, original[key]);
  return kept;
}

/** A list that is replaced whole keeps no directives and no nulls in its objects. */
function stripDirectives(value: unknown, depth: number): unknown {
  return isObject(value) ? strategicMerge({}, value, undefined, depth + 1) : value;
}
