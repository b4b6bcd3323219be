import { StatusError } from '@naru/foundation';
import {
  decodeObject,
  decodeValue,
  duplicateKeys,
  yamlErrors,
  type AnyDefinition,
  type Decoded,
  type FieldValidation,
} from '@naru/api';
import { decodeProtobuf, protobufMediaType } from '../protobuf/decode-protobuf';
import { badRequest } from './failures';
import type { Body } from './request';
import type { ParsedYaml } from './yaml-text';

/** Upstream's limit of a request's body. */
export const maxBodyBytes = 3 * 1024 * 1024;
const maxDepth = 200;
const openingBrace = 0x7b;
const jsonTypes = new Set(['', 'application/json', '*/*']);
const yamlTypes = new Set(['application/yaml', 'application/x-yaml', 'text/yaml', 'application/apply-patch+yaml']);

export function unsupportedMediaType(mediaType: string): StatusError {
  return new StatusError(
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, ${protobufMediaType}`,
    { cause: mediaType },
  );
}

/** Parses a body that is an object of the kind. */
export async function decodeBody(
  body: Body,
  definition: AnyDefinition,
  fieldValidation: FieldValidation | undefined,
): Promise<Decoded> {
  if (jsonTypes.has(body.mediaType)) return decodeObject(body.bytes, definition, { fieldValidation });
  if (yamlTypes.has(body.mediaType)) {
    const { value, repeated } = await parseYaml(body.bytes);
    return decodeValue(value, definition, { fieldValidation, repeated });
  }
  if (body.mediaType === protobufMediaType)
    return decodeValue(decodeProtobuf(body.bytes), definition, { fieldValidation, owned: true });
  throw unsupportedMediaType(body.mediaType);
}

/** Parses a body that is not an object of a known kind: DeleteOptions, reviews, patches in YAML. */
export async function decodeAny(body: Body): Promise<unknown> {
  if (body.bytes.length === 0) return undefined;
  if (yamlTypes.has(body.mediaType)) return (await parseYaml(body.bytes)).value;
  if (body.mediaType === protobufMediaType) return decodeProtobuf(body.bytes);
  if (!jsonTypes.has(body.mediaType)) throw unsupportedMediaType(body.mediaType);
  try {
    return limitDepth(JSON.parse(Buffer.from(body.bytes).toString()));
  } catch (error) {
    if (error instanceof StatusError) throw error;
    throw badRequest(`the object provided is unrecognized: ${(error as Error).message}`, error);
  }
}

/** The configuration of a server-side apply; it is judged by what `fieldValidation` says. */
export async function decodeConfiguration(
  { bytes }: Body,
  fieldValidation: FieldValidation | undefined,
): Promise<{ value: unknown; warnings: string[] }> {
  const { value, repeated } = await parseYaml(bytes);
  if (repeated.length > 0 && fieldValidation === 'Strict')
    throw badRequest(`error strict decoding YAML: ${yamlErrors(repeated)}`);
  return { value, warnings: fieldValidation === 'Ignore' ? [] : repeated };
}

async function parseYaml(bytes: Uint8Array): Promise<ParsedYaml> {
  const { parseYamlText } = await import('./yaml-text');
  try {
    // JSON is YAML too, and much faster to read as what it is.
    if (bytes[0] === openingBrace) {
      const text = Buffer.from(bytes).toString();
      return { value: limitDepth(JSON.parse(text)), repeated: duplicateKeys(text) };
    }
  } catch (error) {
    if (error instanceof StatusError) throw error;
    // Flow style, perhaps.
  }
  return parseYamlText(Buffer.from(bytes).toString());
}

function limitDepth(value: unknown): unknown {
  const check = (node: unknown, depth: number): void => {
    if (depth > maxDepth) throw badRequest('the object is nested too deeply');
    if (typeof node !== 'object' || node === null) return;
    for (const child of Object.values(node)) check(child, depth + 1);
  };
  check(value, 0);
  return value;
}
