import { canonicalKey } from './canonical-key';
import { duplicate, type FieldError } from '../validation/field-error';
import type { Structural } from './structural';
import { listMapKey } from './validate-value';

/** Sets and maps may not hold an item twice. Source: apiextensions-apiserver schema/listtype. */
export function validateListTypes(
  value: unknown,
  schema: Structural,
  path = '',
  errors: FieldError[] = [],
): FieldError[] {
  if (!schema.hasListTypes || typeof value !== 'object' || value === null) return errors;
  if (Array.isArray(value)) {
    const { 'x-kubernetes-list-type': type, 'x-kubernetes-list-map-keys': keys = [] } = schema.schema;
    if (type === 'set')
      findDuplicates(
        value,
        item => canonicalKey(item),
        item => item,
        path,
        errors,
      );
    else if (type === 'map')
      findDuplicates(
        value,
        item => listMapKey(item, keys),
        item => pick(item, keys),
        path,
        errors,
      );
    for (let i = 0; i < value.length && schema.items; i++)
      validateListTypes(value[i], schema.items, `${path}[${i}]`, errors);
    return errors;
  }
  for (const [key, item] of Object.entries(value)) {
    const child = schema.properties.get(key) ?? (schema.additional === true ? undefined : schema.additional);
    if (child) validateListTypes(item, child, path === '' ? key : `${path}.${key}`, errors);
  }
  return errors;
}

function findDuplicates(
  items: readonly unknown[],
  keyOf: (item: unknown) => string,
  show: (item: unknown) => unknown,
  path: string,
  errors: FieldError[],
): void {
  const seen = new Set<string>();
  for (const [index, item] of items.entries()) {
    const key = keyOf(item);
    if (seen.has(key)) errors.push(duplicate(`${path}[${index}]`, show(item)));
    seen.add(key);
  }
}

function pick(item: unknown, keys: readonly string[]): unknown {
  if (typeof item !== 'object' || item === null) return item;
  return Object.fromEntries(keys.map(key => [key, (item as Record<string, unknown>)[key]]));
}
