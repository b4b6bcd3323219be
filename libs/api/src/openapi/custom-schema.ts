import type { JsonSchema } from '../extensions/types';

type Json = Record<string, unknown>;

/** What upstream says of the fields that every kind has. */
export const docs = {
  apiVersion:
    'APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources',
  kind: 'Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds',
  metadata:
    "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata",
};

/** What OpenAPI 2 has no words for: clients would take a narrower meaning from what is left. */
const notInV2 = new Set(['allOf', 'anyOf', 'oneOf', 'not', 'nullable', 'default']);

/** A structural schema as the documents show it. */
export function publishedSchema(schema: JsonSchema, dialect: { v3: boolean }): Json {
  const result: Json = {};
  // A type that may be null, or one of several, is no type at all to clients of v2.
  const untyped = !dialect.v3 && (schema.nullable || schema['x-kubernetes-preserve-unknown-fields'] === true);
  for (const [key, value] of Object.entries(schema)) {
    if (key === 'x-kubernetes-validations' && !dialect.v3) continue;
    if (!dialect.v3 && notInV2.has(key)) continue;
    if (untyped && (key === 'items' || key === 'properties' || key === 'type')) continue;
    result[key] = publishedField(key, value, dialect);
  }
  return result;
}

function publishedField(key: string, value: unknown, dialect: { v3: boolean }): unknown {
  switch (key) {
    case 'properties':
      return Object.fromEntries(
        Object.entries(value as Record<string, JsonSchema>).map(([name, child]) => [
          name,
          publishedSchema(child, dialect),
        ]),
      );
    case 'items':
    case 'not':
      return publishedSchema(value as JsonSchema, dialect);
    case 'additionalProperties':
      return typeof value === 'object' ? publishedSchema(value as JsonSchema, dialect) : value;
    case 'allOf':
    case 'anyOf':
    case 'oneOf':
      return (value as JsonSchema[]).map(child => publishedSchema(child, dialect));
    default:
      return value;
  }
}
