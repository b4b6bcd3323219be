import type { AnyDefinition } from '../scheme/definition';
import type { KubeObject } from '../types';

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
  _patchType: string,
  _original: KubeObject,
  _body: string | Uint8Array,
  _definition: AnyDefinition,
): unknown {
  throw new Error('not there yet');
}
