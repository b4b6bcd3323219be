import type { Structural } from './structural';

type JsonObject = Record<string, unknown>;

/**
 * Fills in the schema's defaults, and drops nulls where null is not allowed and there is a default. Changes `value`.
 * Source: apiextensions-apiserver schema/defaulting.
 */
export function applySchemaDefaults(value: unknown, schema: Structural | undefined): void {
  if (!schema?.hasDefaults || typeof value !== 'object' || value === null) return;
  if (Array.isArray(value)) {
    const { items } = schema;
    if (!items) return;
    for (let i = 0; i < value.length; i++) {
      if (value[i] === null && isDefaulted(items)) value[i] = structuredClone(items.schema.default);
      else applySchemaDefaults(value[i], items);
    }
    return;
  }
  const object = value as JsonObject;
  for (const [key, child] of schema.properties) {
    if (!child.hasDefaults) continue;
    if (isDefaulted(child) && (object[key] === undefined || object[key] === null))
      if (object[key] === undefined || !child.schema.nullable) object[key] = structuredClone(child.schema.default);
    applySchemaDefaults(object[key], child);
  }
  const { additional } = schema;
  if (additional === undefined || additional === true) return;
  for (const key in object) {
    if (schema.properties.has(key)) continue;
    if (object[key] === null && isDefaulted(additional)) object[key] = structuredClone(additional.schema.default);
    else applySchemaDefaults(object[key], additional);
  }
}

function isDefaulted({ schema }: Structural): boolean {
  return schema.default !== undefined;
}
