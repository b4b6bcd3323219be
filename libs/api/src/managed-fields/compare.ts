import { deepEqual } from '../deep-equal';
import { emptySet, leaf, self, sortElements, type FieldsV1 } from './fields-v1';
import {
  fieldType,
  isJsonObject,
  leafType,
  typeOf,
  type ListType,
  type MergeType,
  type ObjectType,
} from './merge-type';
import { fieldElement, itemElement } from './path-element';

type JsonObject = Record<string, unknown>;
type Building = Record<string, FieldsV1>;

/** What became different; no field is in more than one of the sets. */
export interface Comparison {
  added: FieldsV1;
  modified: FieldsV1;
  removed: FieldsV1;
}

/**
 * Compares two objects along their type. Parts that are shared are not looked at, and equal parts cost no memory.
 * Source: structured-merge-diff typed/compare.go.
 */
export function compare(type: ObjectType, before: JsonObject, after: JsonObject): Comparison {
  const found: Found = { added: undefined, modified: undefined, removed: undefined };
  compareObjects(type, before, after, found);
  return { added: setOf(found.added), modified: setOf(found.modified), removed: setOf(found.removed) };
}

function setOf(children: Building | undefined): FieldsV1 {
  return children ? sortElements(children) : emptySet;
}

/** The children of one node in each of the sets, made when there are any. */
interface Found {
  added: Building | undefined;
  modified: Building | undefined;
  removed: Building | undefined;
}

const sets = ['added', 'modified', 'removed'] as const;

function put(found: Found, set: keyof Found, element: string, node: FieldsV1): void {
  (found[set] ??= {})[element] = node;
}

function compareObjects(type: ObjectType, before: JsonObject, after: JsonObject, found: Found): void {
  for (const key in after) {
    const left = before[key];
    const right = after[key];
    if (left === right) continue;
    compareValues(fieldType(type, key), fieldElement(key), left, right, found);
  }
  for (const key in before)
    if (after[key] === undefined && before[key] !== undefined)
      put(found, 'removed', fieldElement(key), ownedNode(fieldType(type, key), before[key], false));
}

function compareValues(declared: MergeType, element: string, left: unknown, right: unknown, found: Found): void {
  if (right === undefined) {
    if (left !== undefined) put(found, 'removed', element, ownedNode(declared, left, false));
    return;
  }
  if (left === undefined) {
    const node = ownedNode(declared, right, isInline(declared));
    if (node !== emptySet || !isInline(declared)) put(found, 'added', element, node);
    return;
  }
  const type = typeOf(declared, right);
  if (type.kind === 'leaf' || typeOf(declared, left).kind === 'leaf') {
    if (!deepEqual(left, right)) put(found, 'modified', element, leaf);
    return;
  }
  const inner: Found = { added: undefined, modified: undefined, removed: undefined };
  if (type.kind === 'object') compareObjects(type, left as JsonObject, right as JsonObject, inner);
  else compareLists(type, left as unknown[], right as unknown[], inner);
  for (const set of sets) if (inner[set]) put(found, set, element, sortElements(inner[set]));
}

function isInline(type: MergeType): boolean {
  return type.kind !== 'leaf' && type.inline;
}

function compareLists(type: ListType, before: unknown[], after: unknown[], found: Found): void {
  // Most lists do not change, and telling their elements apart costs more than this.
  if (deepEqual(before, after)) return;
  const left = itemsByElement(type, before);
  const right = itemsByElement(type, after);
  for (const [element, items] of right) {
    const old = left.get(element) ?? [];
    if (old.length <= 1 && items.length === 1) compareValues(type.element, element, old[0], items[0], found);
    else if (old.length <= 1) {
      // New duplicates are one value together.
      if (old.length === 1) put(found, 'removed', element, childrenOnly(ownedNode(type.element, old[0], false)));
      put(found, 'added', element, leaf);
    } else if (items.length === 1) {
      put(found, 'added', element, ownedNode(type.element, items[0], false));
      put(found, 'removed', element, leaf);
    } else if (!deepEqual(old, items)) put(found, 'modified', element, leaf);
  }
  for (const [element, items] of left)
    if (!right.has(element))
      put(found, 'removed', element, items.length > 1 ? leaf : ownedNode(type.element, items[0], false));
}

function childrenOnly(node: FieldsV1): FieldsV1 {
  const { [self]: _, ...children } = node;
  return children;
}

/** The items of a list under their elements; those that cannot be told apart are left out. */
export function itemsByElement(type: ListType, items: readonly unknown[]): Map<string, unknown[]> {
  const found = new Map<string, unknown[]>();
  for (const item of items) {
    const element = itemElement(type, item);
    if (element === undefined) continue;
    const same = found.get(element);
    if (same) same.push(item);
    else found.set(element, [item]);
  }
  return found;
}

/** The set of a whole object that was not there before: what comparing it with nothing adds. */
export function addedSet(type: ObjectType, object: JsonObject): FieldsV1 {
  return ownedNode(type, object, true);
}

/**
 * The node of a value that came or went as a whole. `inline`: it counts as having been there, empty; then the node is
 * not itself a member, and `emptySet` when there is nothing in it.
 */
function ownedNode(declared: MergeType, value: unknown, inline: boolean): FieldsV1 {
  const type = typeOf(declared, value);
  if (type.kind === 'leaf') return leaf;
  const children: Building = {};
  if (!inline) children[self] = leaf;
  let isEmpty = true;
  if (type.kind === 'object') {
    const object = value as JsonObject;
    for (const key of Object.keys(object).sort()) {
      const child = object[key];
      if (child === undefined) continue;
      const declaredType = type.field(key);
      const childType = declaredType ?? type.entries ?? leafType;
      const within = inline && isInline(childType);
      const node = ownedNode(childType, child, within);
      if (node === emptySet && within && (isJsonObject(child) || Array.isArray(child))) continue;
      children[fieldElement(key, declaredType !== undefined)] = node;
      isEmpty = false;
    }
  } else {
    const items = itemsByElement(type, value as unknown[]);
    for (const element of [...items.keys()].sort()) {
      const same = items.get(element)!;
      children[element] = same.length > 1 ? leaf : ownedNode(type.element, same[0], false);
      isEmpty = false;
    }
  }
  return isEmpty ? leaf : children;
}
