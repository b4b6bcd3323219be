import { emptySet, leaf, nodeOf, sortElements, type FieldsV1 } from './fields-v1';
import { itemsByElement } from './compare';
import { fieldType, isJsonObject, typeOf, type MergeType, type ObjectType } from './merge-type';
import { fieldElement } from './path-element';

/**
 * The fields that an object names: its leaves, the elements of its lists and the entries of its maps. This is what who
 * applies it owns. Source: structured-merge-diff typed/tofieldset.go.
 */
export function toFieldSet(type: ObjectType, object: Record<string, unknown>): FieldsV1 {
  return children(type, object);
}

function children(declared: MergeType, value: unknown): FieldsV1 {
  const type = typeOf(declared, value);
  if (type.kind === 'leaf') return emptySet;
  const found: Record<string, FieldsV1> = {};
  if (type.kind === 'object') {
    const object = value as Record<string, unknown>;
    for (const key in object) {
      const child = object[key];
      if (child === undefined) continue;
      const childType = fieldType(type, key);
      const isLeaf = typeOf(childType, child).kind === 'leaf';
      const isEntry = type.field(key) === undefined;
      const isEmpty = isJsonObject(child) && Object.keys(child).length === 0;
      const node = nodeOf(isLeaf || isEntry || isEmpty, children(childType, child));
      if (node) found[fieldElement(key, !isEntry)] = node;
    }
    return sortElements(found);
  }
  for (const [element, items] of itemsByElement(type, value as unknown[]))
    found[element] = items.length > 1 ? leaf : (nodeOf(true, children(type.element, items[0])) ?? leaf);
  return sortElements(found);
}

/** Adds the fields of objects above every member, as far as the schema names them: to take away what becomes empty. */
export function withNamedFields(set: FieldsV1, declared: MergeType): FieldsV1 {
  const found: Record<string, FieldsV1> = {};
  for (const element in set) {
    if (element === '.') found[element] = leaf;
    else {
      const { type, named } = descend(declared, element);
      const node = set[element]!;
      const inner = withNamedFields(node, type);
      found[element] = named ? (nodeOf(true, withoutMark(inner)) ?? leaf) : inner;
    }
  }
  return found;
}

function withoutMark(node: FieldsV1): FieldsV1 {
  const { '.': _, ...rest } = node;
  return rest;
}

function descend(type: MergeType, element: string): { type: MergeType; named: boolean } {
  if (element.startsWith('f:') && type.kind === 'object') {
    const name = element.slice(2);
    return { type: fieldType(type, name), named: type.field(name) !== undefined };
  }
  return { type: type.kind === 'list' ? type.element : { kind: 'leaf' }, named: false };
}
