import { fieldType, typeOf, type MergeType } from './merge-type';

/**
 * Sets of more fields do not fit beside their object into what a store takes; to make and to compare them would keep the
 * process from everything else for seconds.
 */
export const maxTrackedFields = 50_000;

/** Whether a value has so few fields that their owners can be noted. */
export function isTrackable(type: MergeType, value: unknown): boolean {
  return fieldsLeft(type, value, maxTrackedFields) >= 0;
}

/** What is left of `budget` after the fields of a value; below zero: too little. */
function fieldsLeft(declared: MergeType, value: unknown, budget: number): number {
  if (typeof value !== 'object' || value === null) return budget - 1;
  const type = typeOf(declared, value);
  if (type.kind === 'leaf') return budget - 1;
  let left = budget - 1;
  if (type.kind === 'list') {
    const items = value as unknown[];
    if (items.length > left) return -1;
    for (const item of items) if ((left = fieldsLeft(type.element, item, left)) < 0) break;
    return left;
  }
  const object = value as Record<string, unknown>;
  const keys = Object.keys(object);
  if (keys.length > left) return -1;
  for (const key of keys) if ((left = fieldsLeft(fieldType(type, key), object[key], left)) < 0) break;
  return left;
}
