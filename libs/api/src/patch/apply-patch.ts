import { StatusError } from '@naru/foundation';
import type { ExpectedKind } from '../decode/decode-object';
import { kindSchema } from '../schema/types';
import type { KubeObject } from '../types';
import { jsonPatch, maxOperations, PatchConflict, PatchSyntaxError } from './json-patch';
import { isObject, mergePatch } from './merge-patch';
import { strategicMerge } from './strategic-merge';

export const patchMediaTypes = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;

export type PatchMediaType = (typeof patchMediaTypes)[keyof typeof patchMediaTypes];

/**
 * Gives the patched object as a plain value that shares unchanged parts with `original` (which is not changed): decode
 * it with `decodeValue` next, which makes the private copy and checks it.
 * @throws StatusError BadRequest for a malformed patch, Invalid for one that does not apply, UnsupportedMediaType,
 * RequestEntityTooLarge for a JSON patch of more than 10,000 operations.
 */
export function applyPatch(
  patchType: string,
  original: KubeObject,
  body: string | Uint8Array,
  expected: ExpectedKind & { strategicMerge?: boolean },
): unknown {
  const type = patchType.split(';', 1)[0]?.trim();
  if (!isSupported(type, expected)) throw unsupported(expected);
  const patch = parse(body);
  try {
    switch (type) {
      case patchMediaTypes.json:
        if (Array.isArray(patch) && patch.length > maxOperations) throw tooManyOperations(patch.length);
        return jsonPatch(original, patch);
      case patchMediaTypes.merge:
        return mergePatch(original, patchObject(patch));
      default: {
        const { group, version, kind } = expected.type;
        return strategicMerge(original, patchObject(patch), kindSchema(group, version, kind));
      }
    }
  } catch (cause) {
    if (cause instanceof PatchSyntaxError || cause instanceof RangeError)
      throw new StatusError('BadRequest', cause.message, { cause });
    if (cause instanceof PatchConflict)
      throw new StatusError(
        'Invalid',
        `the server rejected our request due to an error in our request: ${cause.message}`,
        { cause, details: {} },
      );
    throw cause;
  }
}

/** Server-side apply is not among them: it is more than a patch (managed-fields/server-side-apply.ts). */
function isSupported(type: string | undefined, expected: { strategicMerge?: boolean }): boolean {
  if (type === patchMediaTypes.strategic) return expected.strategicMerge !== false;
  return type === patchMediaTypes.json || type === patchMediaTypes.merge;
}

function unsupported(expected: { strategicMerge?: boolean }): StatusError {
  const supported = [patchMediaTypes.json, patchMediaTypes.merge, patchMediaTypes.strategic].filter(type =>
    isSupported(type, expected),
  );
  return new StatusError(
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${[...supported, patchMediaTypes.apply].join(', ')}`,
  );
}

function tooManyOperations(count: number): StatusError {
  return new StatusError(
    'RequestEntityTooLarge',
    `The allowed maximum operations in a JSON patch is ${maxOperations}, got ${count}`,
  );
}

function parse(body: string | Uint8Array): unknown {
  const text = typeof body === 'string' ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString();
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new StatusError('BadRequest', `error decoding patch: ${(cause as Error).message}`, { cause });
  }
}

function patchObject(patch: unknown): Record<string, unknown> {
  if (isObject(patch)) return patch;
  throw new StatusError('BadRequest', 'error decoding patch: json: cannot unmarshal the patch into an object');
}
