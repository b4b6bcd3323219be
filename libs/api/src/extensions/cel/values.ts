import type { Structural } from '../structural';

/** Names that CEL keeps for itself; as fields they are written `__name__`. */
const reserved = new Set(
  `true false null in as break const continue else for function if import let loop package namespace return var void
  while`.split(/\s+/),
);

/** How a rule writes a property's name; undefined when it cannot. Source: apiserver cel/escaping. */
export function escapeProperty(name: string): string | undefined {
  if (reserved.has(name)) return `__${name}__`;
  if (!/^[A-Za-z_.\-/][A-Za-z0-9_.\-/]*$/.test(name)) return undefined;
  return name.replace(/__|[.\-/]/g, found => escapes[found]!);
}

const escapes: Record<string, string> = { __: '__underscores__', '.': '__dot__', '-': '__dash__', '/': '__slash__' };

export interface ValueFactory {
  duration(text: string): unknown;
}

/** A JSON value as rules see it: integers as bigint, objects as Map, times and durations as such. */
export function toCel(value: unknown, schema: Structural | undefined, make: ValueFactory, isRoot = false): unknown {
  if (value === null || value === undefined) return null;
  switch (typeof value) {
    case 'number':
      return schema?.schema.type !== 'number' && Number.isInteger(value) ? BigInt(value) : value;
    case 'string':
      return schema ? textToCel(value, schema.schema.format, make) : value;
    case 'object':
      if (Array.isArray(value)) return value.map(item => toCel(item, schema?.items, make));
      return objectToCel(value as Record<string, unknown>, schema, make, isRoot);
    default:
      return value;
  }
}

function textToCel(text: string, format: string | undefined, make: ValueFactory): unknown {
  switch (format) {
    case 'date':
    case 'date-time':
      return new Date(text);
    case 'duration':
      return make.duration(text);
    case 'byte':
      return new Uint8Array(Buffer.from(text, 'base64'));
    default:
      return text;
  }
}

function objectToCel(
  object: Record<string, unknown>,
  schema: Structural | undefined,
  make: ValueFactory,
  isRoot: boolean,
): Map<string, unknown> {
  const result = new Map<string, unknown>();
  const isMap = !schema || (schema.properties.size === 0 && schema.additional !== undefined);
  for (const key in object) {
    const isMeta = (isRoot || schema?.embedded) && (key === 'apiVersion' || key === 'kind' || key === 'metadata');
    if (isMeta) {
      if (key === 'metadata') result.set(key, metadataToCel(object[key]));
      else result.set(key, object[key]);
      continue;
    }
    const child = schema?.properties.get(key) ?? (schema?.additional === true ? undefined : schema?.additional);
    const name = isMap ? key : escapeProperty(key);
    // Fields that the schema does not name are kept on other authority, and rules do not see them.
    if (name === undefined || (schema && !isMap && !child)) continue;
    result.set(name, toCel(object[key], child, make));
  }
  return result;
}

/** Rules see the name and nothing else of an object's metadata. */
function metadataToCel(metadata: unknown): Map<string, unknown> {
  const result = new Map<string, unknown>();
  for (const key of ['name', 'generateName']) {
    const value = (metadata as Record<string, unknown> | undefined)?.[key];
    if (value !== undefined) result.set(key, value);
  }
  return result;
}
