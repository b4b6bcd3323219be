import { BoundedMap } from '@naru/foundation';
import { addedSet } from './compare';
import type { FieldsV1 } from './fields-v1';
import { leafType, typeOf, type MergeType, type ObjectType } from './merge-type';
import { itemElement } from './path-element';
import { isTrackable } from './trackable';

type JsonObject = Record<string, unknown>;

/** Per type: objects of more shapes than this at a time make their sets anew. */
const maxShapes = 64;
/** Larger shapes are not worth their memory. */
const maxShapeLength = 32 * 1024;
const cache = new WeakMap<ObjectType, Map<string, FieldsV1>>();

/**
 * `finish(addedSet(type, object))`, remembered for objects of the same shape: those of one template, which come in
 * numbers, have the same fields. To read a shape costs a fraction of making a set, and the sets share their memory.
 * `finish` must be the same function of the set each time for one type. Undefined: there are too many fields to track.
 */
export function createdSet(
  type: ObjectType,
  object: JsonObject,
  finish: (set: FieldsV1) => FieldsV1,
): FieldsV1 | undefined {
  const shape = shapeOf(type, object);
  let known = cache.get(type);
  if (!known) cache.set(type, (known = new BoundedMap(maxShapes)));
  let set = known.get(shape);
  if (set) return set;
  const isLarge = shape.length > maxShapeLength;
  if (isLarge && !isTrackable(type, object)) return undefined;
  set = finish(addedSet(type, object));
  if (isLarge) return set;
  known.set(shape, set);
  return set;
}

/** A text that is the same for two values only when they have the same fields; of what is too large, its beginning. */
function shapeOf(declared: MergeType, value: unknown): string {
  if (declared === leafType) return '';
  const type = typeOf(declared, value);
  if (type.kind === 'leaf') return '!';
  let shape = '';
  if (type.kind === 'object') {
    const object = value as JsonObject;
    for (const key in object) {
      const child = object[key];
      if (child !== undefined)
        shape += `${key.length}:${key}${shapeOf(type.field(key) ?? type.entries ?? leafType, child)}`;
      if (shape.length > maxShapeLength) break;
    }
    return `{${shape}}`;
  }
  for (const item of value as unknown[]) {
    const element = itemElement(type, item);
    if (element !== undefined) shape += `${element.length}:${element}${shapeOf(type.element, item)}`;
    if (shape.length > maxShapeLength) break;
  }
  return `[${shape}]`;
}
