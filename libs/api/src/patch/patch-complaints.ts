import { duplicateFields } from '../decode/duplicate-fields';
import { patchMediaTypes } from './apply-patch';
import { isObject } from './merge-patch';

const operationFields = new Set(['op', 'path', 'from', 'value']);
const maxUnknown = 100;

/**
 * What is wrong with a patch and does not hinder it, in upstream's words: fields that are there twice and, of a JSON patch,
 * those that no operation has. The body must be valid JSON.
 */
export function patchComplaints(patchType: string, body: Uint8Array): string[] {
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString();
  const twice = duplicateFields(text).map(path => `duplicate field ${JSON.stringify(path)}`);
  if (patchType.split(';', 1)[0]?.trim() !== patchMediaTypes.json) return twice;
  return [...unknownFields(JSON.parse(text)), ...twice].map(complaint => `json patch ${complaint}`);
}

function unknownFields(operations: unknown): string[] {
  const found: string[] = [];
  for (const [index, operation] of (Array.isArray(operations) ? operations : []).entries())
    for (const field of isObject(operation) ? Object.keys(operation) : [])
      if (!operationFields.has(field) && found.length < maxUnknown)
        found.push(`unknown field ${JSON.stringify(`[${index}].${field}`)}`);
  return found;
}
