import { setKey } from '../decode/decode-value';
import { isEmptySet, isMember, type FieldsV1 } from './fields-v1';
import { fieldType, typeOf, type ListType, type MergeType, type ObjectType } from './merge-type';
import { fieldElement, itemElement } from './path-element';

type JsonObject = Record<string, unknown>;

/**
 * Puts `config` over `live`: nothing goes away, a leaf takes the value of `config`, and lists whose elements have keys
 * merge by them. Shares what does not change; changes neither. Source: structured-merge-diff typed/merge.go.
 */
export function mergeObjects(type: ObjectType, live: JsonObject, config: JsonObject): JsonObject {
  const merged: JsonObject = { ...live };
  for (const key in config) {
    const value = config[key];
    if (value === undefined) continue;
    setKey(merged, key, Object.hasOwn(live, key) ? mergeValues(fieldType(type, key), live[key], value) : value);
  }
  return merged;
}

function mergeValues(declared: MergeType, live: unknown, config: unknown): unknown {
  const type = typeOf(declared, config);
  if (type.kind === 'leaf' || typeOf(declared, live).kind === 'leaf') return config;
  if (type.kind === 'object') return mergeObjects(type, live as JsonObject, config as JsonObject);
  return mergeLists(type, live as unknown[], config as unknown[]);
}

/** In the order of `config` where it names elements, with those that only `live` has where they were. */
function mergeLists(type: ListType, live: unknown[], config: unknown[]): unknown[] {
  const elementsOf = (items: unknown[]): (string | undefined)[] => items.map(item => itemElement(type, item));
  const liveElements = elementsOf(live);
  const configElements = elementsOf(config);
  const inLive = new Map<string | undefined, unknown>();
  // Elements that are there twice are not merged with the new value.
  liveElements.forEach((element, i) => inLive.set(element, inLive.has(element) ? undefined : live[i]));
  const inConfig = new Set(configElements);
  const merged: unknown[] = [];
  const taken = new Set<string | undefined>();
  const takeConfig = (index: number): void => {
    const element = configElements[index];
    const before = inLive.get(element);
    merged.push(before === undefined ? config[index] : mergeValues(type.element, before, config[index]));
    taken.add(element);
  };
  const shared = configElements.filter(element => inLive.has(element));
  let nextShared = 0;
  let l = 0;
  let c = 0;
  while (l < live.length || c < config.length) {
    const liveElement = liveElements[l];
    if (l < live.length && c < config.length) {
      if (liveElement === configElements[c]) {
        takeConfig(c++);
        l++;
        nextShared++;
        continue;
      }
      if (inConfig.has(liveElement) && nextShared < shared.length && shared[nextShared] !== liveElement) {
        // A shared element, but not the next one in the order of `config`: it comes with that.
        l++;
        continue;
      }
    }
    if (l < live.length) {
      if (!inConfig.has(liveElement)) {
        merged.push(live[l++]);
        continue;
      }
      if (taken.has(liveElement)) l++;
    }
    if (c < config.length) {
      const element = configElements[c];
      takeConfig(c++);
      if (nextShared < shared.length && shared[nextShared] === element) nextShared++;
    }
  }
  return merged;
}

/** `object` without the fields and elements in `set`. What becomes empty by it goes away as well. */
export function removeFields(type: ObjectType, object: JsonObject, set: FieldsV1): JsonObject {
  return (removeFrom(type, object, set) as JsonObject | undefined) ?? {};
}

function removeFrom(declared: MergeType, value: unknown, set: FieldsV1): unknown {
  if (isEmptySet(set)) return value;
  const type = typeOf(declared, value);
  if (type.kind === 'leaf') return value;
  if (type.kind === 'list') {
    const kept: unknown[] = [];
    for (const item of value as unknown[]) {
      const element = itemElement(type, item);
      const node = element === undefined ? undefined : set[element];
      if (node && isMember(node)) continue;
      kept.push(node ? removeFrom(type.element, item, node) : item);
    }
    return kept.length > 0 ? kept : undefined;
  }
  const kept: JsonObject = {};
  for (const key in value as JsonObject) {
    const child = (value as JsonObject)[key];
    const node = set[fieldElement(key)];
    if (node && isMember(node)) continue;
    const rest = node ? removeFrom(fieldType(type, key), child, node) : child;
    if (rest !== undefined) setKey(kept, key, rest);
  }
  return Object.keys(kept).length > 0 ? kept : undefined;
}
