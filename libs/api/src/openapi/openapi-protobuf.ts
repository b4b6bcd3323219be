import { ProtobufWriter } from './protobuf-writer';
import type { Json } from './schemas';

/** How one member of a JSON object lies on the wire. */
type Shape = 'text' | 'bool' | 'integer' | 'double' | 'any' | ((value: unknown) => Uint8Array);
type Fields = Record<string, readonly [number: number, shape: Shape, repeated?: boolean]>;

/**
 * An OpenAPI v2 document in gnostic's protobuf form (`openapi.v2.Document`), which kubectl reads where the v3
 * documents do not know a kind. Field numbers: google/gnostic, openapiv2/OpenAPIv2.proto.
 */
export function encodeOpenApiV2(document: Json): Buffer {
  // A copy of its own: the writer's buffer is larger than what it holds.
  return Buffer.from(message(document, documentFields, 16));
}

const texts = { format: [2, 'text'], title: [3, 'text'], description: [4, 'text'] } as const;

const schemaFields: Fields = {
  ...texts,
  $ref: [1, 'text'],
  default: [5, 'any'],
  multipleOf: [6, 'double'],
  maximum: [7, 'double'],
  exclusiveMaximum: [8, 'bool'],
  minimum: [9, 'double'],
  exclusiveMinimum: [10, 'bool'],
  maxLength: [11, 'integer'],
  minLength: [12, 'integer'],
  pattern: [13, 'text'],
  maxItems: [14, 'integer'],
  minItems: [15, 'integer'],
  uniqueItems: [16, 'bool'],
  maxProperties: [17, 'integer'],
  minProperties: [18, 'integer'],
  required: [19, 'text', true],
  enum: [20, 'any', true],
  additionalProperties: [21, additionalProperties],
  type: [22, value => message({ value: [value].flat() }, { value: [1, 'text', true] })],
  items: [23, value => message({ schema: value }, { schema: [1, schema] })],
  allOf: [24, schema, true],
  properties: [25, value => named(value, 1, schema)],
  readOnly: [27, 'bool'],
  externalDocs: [29, value => message(value, { description: [1, 'text'], url: [2, 'text'] }, 3)],
  example: [30, 'any'],
};

function schema(value: unknown): Uint8Array {
  return message(value, schemaFields, 31);
}

function additionalProperties(value: unknown): Uint8Array {
  return message({ value }, { value: typeof value === 'boolean' ? [2, 'bool'] : [1, schema] });
}

const bodyFields: Fields = {
  description: [1, 'text'],
  name: [2, 'text'],
  in: [3, 'text'],
  required: [4, 'bool'],
  schema: [5, schema],
};
const queryFields: Fields = {
  required: [1, 'bool'],
  in: [2, 'text'],
  description: [3, 'text'],
  name: [4, 'text'],
  allowEmptyValue: [5, 'bool'],
  type: [6, 'text'],
  format: [7, 'text'],
  default: [10, 'any'],
  pattern: [17, 'text'],
  uniqueItems: [20, 'bool'],
};
/** Parameters in headers and paths lie alike. */
const otherFields: Fields = {
  required: [1, 'bool'],
  in: [2, 'text'],
  description: [3, 'text'],
  name: [4, 'text'],
  type: [5, 'text'],
  format: [6, 'text'],
  default: [9, 'any'],
  pattern: [16, 'text'],
  uniqueItems: [19, 'bool'],
};

/** ParametersItem { Parameter { body | NonBodyParameter { header 1, query 3, path 4 } } | JsonReference }. */
function parameter(value: unknown): Uint8Array {
  const { in: place, $ref } = value as { in?: string; $ref?: string };
  if ($ref !== undefined) return wrap(2, message(value, { $ref: [1, 'text'], description: [2, 'text'] }));
  if (place === 'body') return wrap(1, wrap(1, message(value, bodyFields, 6)));
  if (place === 'query') return wrap(1, wrap(2, wrap(3, message(value, queryFields, 23))));
  return wrap(1, wrap(2, wrap(place === 'header' ? 1 : 4, message(value, otherFields, 22))));
}

const responseFields: Fields = {
  description: [1, 'text'],
  schema: [2, value => wrap(1, schema(value))],
};
const operationFields: Fields = {
  tags: [1, 'text', true],
  summary: [2, 'text'],
  description: [3, 'text'],
  operationId: [5, 'text'],
  produces: [6, 'text', true],
  consumes: [7, 'text', true],
  parameters: [8, parameter, true],
  responses: [9, value => named(value, 1, response => wrap(1, message(response, responseFields, 5)))],
  schemes: [10, 'text', true],
  deprecated: [11, 'bool'],
};
const operation = (value: unknown): Uint8Array => message(value, operationFields, 13);
const pathFields: Fields = {
  $ref: [1, 'text'],
  get: [2, operation],
  put: [3, operation],
  post: [4, operation],
  delete: [5, operation],
  options: [6, operation],
  head: [7, operation],
  patch: [8, operation],
  parameters: [9, parameter, true],
};
const documentFields: Fields = {
  swagger: [1, 'text'],
  info: [2, value => message(value, { title: [1, 'text'], version: [2, 'text'], description: [3, 'text'] }, 7)],
  paths: [8, value => named(value, 2, path => message(path, pathFields, 10))],
  definitions: [9, value => named(value, 1, schema)],
};

/** `extensions` is the field of the members whose name begins with x-; others without a field are left out. */
function message(value: unknown, fields: Fields, extensions?: number): Uint8Array {
  const writer = new ProtobufWriter();
  for (const [key, item] of Object.entries(value as Json)) {
    const field = Object.hasOwn(fields, key) ? fields[key] : undefined;
    if (item === undefined) continue;
    if (!field) {
      if (extensions !== undefined && key.startsWith('x-')) writer.bytes(extensions, pair(key, any(item)));
      continue;
    }
    const [number, shape, repeated] = field;
    for (const one of repeated ? (item as unknown[]) : [item]) write(writer, number, shape, one);
  }
  return writer.finish();
}

function write(writer: ProtobufWriter, number: number, shape: Shape, value: unknown): void {
  if (shape === 'text') writer.text(number, String(value));
  else if (shape === 'bool') writer.bool(number, value === true);
  else if (shape === 'integer') writer.integer(number, Number(value));
  else if (shape === 'double') writer.double(number, Number(value));
  else writer.bytes(number, shape === 'any' ? any(value) : shape(value));
}

/** A map, as gnostic writes it: pairs of name and value in their order. */
function named(value: unknown, number: number, shape: (value: unknown) => Uint8Array): Uint8Array {
  const writer = new ProtobufWriter();
  for (const [name, item] of Object.entries(value as Json)) writer.bytes(number, pair(name, shape(item)));
  return writer.finish();
}

function pair(name: string, value: Uint8Array): Uint8Array {
  const writer = new ProtobufWriter();
  writer.text(1, name);
  writer.bytes(2, value);
  return writer.finish();
}

/** Any { yaml }: JSON is YAML. */
function any(value: unknown): Uint8Array {
  const writer = new ProtobufWriter();
  writer.text(2, `${JSON.stringify(value)}\n`);
  return writer.finish();
}

/** A message that has one field, a message. */
function wrap(number: number, value: Uint8Array): Uint8Array {
  const writer = new ProtobufWriter();
  writer.bytes(number, value);
  return writer.finish();
}
