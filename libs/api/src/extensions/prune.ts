import { DecodeError, Decoder } from '../decode/decode-value';
import { kindSchema } from '../schema/types';
import type { Structural } from './structural';

type JsonObject = Record<string, unknown>;
const metaFields = new Set(['apiVersion', 'kind', 'metadata']);
/** Unknown fields beyond this many are dropped without a report. */
const maxUnknown = 100;

/**
 * Drops from a custom resource what its schema does not name; answers the paths of it. Changes `object`. Source:
 * apiextensions-apiserver schema/pruning.
 */
export function pruneObject(object: JsonObject, schema: Structural): string[] {
  const unknown: string[] = [];
  prune(object, { ...schema, embedded: true }, '', unknown);
  return unknown.sort();
}

function prune(value: unknown, schema: Structural | undefined, path: string, unknown: string[]): void {
  if (typeof value !== 'object' || value === null) return;
  if (Array.isArray(value)) {
    if (schema?.preserve && !schema.items) return;
    for (let i = 0; i < value.length; i++) prune(value[i], schema?.items, `${path}[${i}]`, unknown);
    return;
  }
  const object = value as JsonObject;
  for (const key in object) {
    if (schema?.embedded && metaFields.has(key)) {
      // That of the object itself is read when it is decoded.
      if (key === 'metadata' && path !== '') object[key] = knownMetadata(object[key], `${path}.${key}`, unknown);
      continue;
    }
    const child = schema?.properties.get(key) ?? (schema?.additional === true ? undefined : schema?.additional);
    if (child) prune(object[key], child, path === '' ? key : `${path}.${key}`, unknown);
    else if (!schema?.preserve && schema?.additional !== true) {
      if (unknown.length < maxUnknown) unknown.push(path === '' ? key : `${path}.${key}`);
      delete object[key];
    }
  }
}

/** The metadata of a resource inside a resource, with what all metadata have. Source: apiextensions-apiserver schema/objectmeta. */
function knownMetadata(value: unknown, path: string, unknown: string[]): unknown {
  const schema = kindSchema('', 'v1', 'Pod')?.fields.get('metadata')?.value;
  if (!schema || typeof value !== 'object' || value === null) return value;
  const decoder = new Decoder();
  try {
    const known = decoder.value(schema, value, path, 'ObjectMeta', 1);
    unknown.push(...decoder.unknownFields.slice(0, maxUnknown - unknown.length));
    return known;
  } catch (error) {
    // What cannot be metadata stays as it is, for the validation to refuse.
    if (error instanceof DecodeError) return value;
    throw error;
  }
}
