import type { AnyDefinition } from '../scheme/definition';
import type { KubeObject } from '../types';

export type FieldValidation = 'Ignore' | 'Warn' | 'Strict';

export interface DecodeOptions {
  /** The query parameter of the same name; absent means Warn. */
  fieldValidation?: FieldValidation | undefined;
}

export interface Decoded<T extends KubeObject = KubeObject> {
  /** A private mutable copy without unknown fields; apiVersion and kind are set. */
  object: T;
  /** For Warning headers: `unknown field "spec.foo"`. */
  warnings: string[];
}

/**
 * Parses the body of a write and checks its structure against the kind's schema.
 * @throws StatusError BadRequest, with the field path, for wrong JSON, wrong types, too much depth, another kind or
 * version than the URL's, and (Strict) unknown or duplicate fields.
 */
export function decodeObject(
  _json: string | Uint8Array,
  _definition: AnyDefinition,
  _options?: DecodeOptions,
): Decoded {
  throw new Error('not there yet');
}

/** The same for a value that is parsed already (the result of a patch, a YAML body). Does not change `value`. */
export function decodeValue(_value: unknown, _definition: AnyDefinition, _options?: DecodeOptions): Decoded {
  throw new Error('not there yet');
}
