import { StatusError } from '@naru/foundation';
import { apiVersionOf, type ResourceType } from '../resource';
import { kindSchema } from '../schema/types';
import type { KubeObject } from '../types';
import { DecodeError, Decoder } from './decode-value';
import { duplicateFields } from './duplicate-fields';

export type FieldValidation = 'Ignore' | 'Warn' | 'Strict';

export interface DecodeOptions {
  /** The query parameter of the same name; absent means Warn. */
  fieldValidation?: FieldValidation | undefined;
  /** What its YAML says more than once: `line 4: key "foo" already set in map`. */
  repeated?: readonly string[] | undefined;
  /** The value is nobody else's, and no part of it is there twice: what needs no change becomes part of the object. */
  owned?: boolean | undefined;
}

export interface Decoded<T extends KubeObject = KubeObject> {
  /** A private mutable copy without unknown fields; apiVersion and kind are set. */
  object: T;
  /** For Warning headers: `unknown field "spec.foo"`. */
  warnings: string[];
}

/** Of which kind the body must be: a definition, or the kind of a subresource's body ("policy", "v1", "Eviction"). */
export interface ExpectedKind<T extends KubeObject = KubeObject> {
  type: Pick<ResourceType<T>, 'group' | 'version' | 'kind' | 'object'>;
  /** Of a kind that is not built in: drops what its schema does not know, and tells the paths. */
  prune?: ((o: T) => string[]) | undefined;
}

/**
 * Parses the body of a write and checks its structure against the kind's schema.
 * @throws StatusError BadRequest, with the field path, for wrong JSON, wrong types, too much depth, another kind or
 * version than the URL's, and (Strict) unknown or duplicate fields.
 */
export function decodeObject<T extends KubeObject>(
  json: string | Uint8Array,
  expected: ExpectedKind<T>,
  options: DecodeOptions = {},
): Decoded<T> {
  const text = typeof json === 'string' ? json : Buffer.from(json.buffer, json.byteOffset, json.byteLength).toString();
  const value = parseJson(text, expected.type.kind);
  const duplicates = options.fieldValidation === 'Ignore' ? [] : duplicateFields(text);
  return decode(value, expected, { ...options, owned: true }, duplicates);
}

/** The same for a value that is parsed already (the result of a patch, a YAML body). Does not change `value` unless it is `owned`. */
export function decodeValue<T extends KubeObject>(
  value: unknown,
  expected: ExpectedKind<T>,
  options: DecodeOptions = {},
): Decoded<T> {
  return decode(value, expected, options, []);
}

function parseJson(text: string, kind: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const message = `the object provided is unrecognized (must be of type ${kind}): couldn't get version/kind; json parse error: ${(cause as Error).message}`;
    throw new StatusError('BadRequest', message, { cause });
  }
}

function decode<T extends KubeObject>(
  value: unknown,
  { type, prune }: ExpectedKind<T>,
  options: DecodeOptions,
  duplicates: string[],
): Decoded<T> {
  checkKind(value, type);
  const decoder = new Decoder(options.owned);
  let object: Record<string, unknown>;
  try {
    const schema = kindSchema(type.group, type.version, type.kind);
    object = schema ? decoder.object(schema, value, '') : decodeWithoutSchema(decoder, value);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw new StatusError('BadRequest', `${cannotBeHandled(type)}: ${error.message}`, { cause: error });
  }
  object['apiVersion'] = apiVersionOf(type);
  object['kind'] = type.kind;
  if (prune) decoder.unknownFields.push(...prune(object as T));
  const { fieldValidation, repeated = [] } = options;
  const complaints = [
    ...decoder.unknownFields.map(path => `unknown field ${JSON.stringify(path)}`),
    ...duplicates.map(path => `duplicate field ${JSON.stringify(path)}`),
  ];
  if (complaints.length + repeated.length > 0 && fieldValidation === 'Strict') {
    const all = [...(repeated.length > 0 ? [yamlErrors(repeated)] : []), ...complaints];
    throw new StatusError('BadRequest', `${cannotBeHandled(type)}: strict decoding error: ${all.join(', ')}`);
  }
  return { object: object as T, warnings: fieldValidation === 'Ignore' ? [] : [...repeated, ...complaints] };
}

/** In the words of Go's YAML reader. */
export function yamlErrors(lines: readonly string[]): string {
  return ['yaml: unmarshal errors:', ...lines.map(line => `  ${line}`)].join('\n');
}

/** A kind that is not built in: its metadata is checked, the rest kept as it is. */
function decodeWithoutSchema(decoder: Decoder, value: unknown): Record<string, unknown> {
  const copy = decoder.value({ code: '*' }, value, '', '', 0) as Record<string, unknown>;
  const metadata = copy['metadata'];
  const schema = kindSchema('', 'v1', 'Pod')?.fields.get('metadata')?.value;
  if (metadata !== undefined && metadata !== null && schema)
    copy['metadata'] = decoder.value(schema, metadata, 'metadata', 'ObjectMeta', 1);
  return copy;
}

function cannotBeHandled({ kind, version }: ExpectedKind['type']): string {
  return `${kind} in version ${JSON.stringify(version)} cannot be handled as a ${kind}`;
}

function goKindOf(value: unknown): string {
  return Array.isArray(value) ? 'array' : value === null ? 'null' : typeof value;
}

function unrecognized({ kind }: ExpectedKind['type'], why: string): StatusError {
  return new StatusError(
    'BadRequest',
    `the object provided is unrecognized (must be of type ${kind}): couldn't get version/kind; json parse error: json: ${why}`,
  );
}

function checkKind(value: unknown, type: ExpectedKind['type']): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw unrecognized(type, `cannot unmarshal ${goKindOf(value)} into Go value of type struct`);
  const { kind, apiVersion } = value as { kind?: unknown; apiVersion?: unknown };
  for (const [field, word] of Object.entries({ apiVersion, kind }))
    if (word !== undefined && word !== null && typeof word !== 'string')
      throw unrecognized(type, `cannot unmarshal ${goKindOf(word)} into Go struct field .${field} of type string`);
  const wanted = apiVersionOf(type);
  if (apiVersion !== undefined && apiVersion !== null && apiVersion !== '' && apiVersion !== wanted) {
    throw new StatusError(
      'BadRequest',
      `the API version in the data (${String(apiVersion)}) does not match the expected API version (${wanted})`,
    );
  }
  if (kind !== undefined && kind !== null && kind !== '' && kind !== type.kind) {
    throw new StatusError(
      'BadRequest',
      `${String(kind)} in version ${JSON.stringify(type.version)} cannot be handled as a ${type.kind}`,
    );
  }
}
