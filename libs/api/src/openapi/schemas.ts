import { atomicTypes, fieldMapType, listKeyDefaults, mergeRule } from '../schema/patch-keys';
import { docs, publishedSchema } from './custom-schema';
import { kindSchema, type FieldSchema, type TypeSchema, type ValueSchema } from '../schema/types';
import type { AnyDefinition } from '../scheme/definition';

export type Json = Record<string, unknown>;

const time = 'io.k8s.apimachinery.pkg.apis.meta.v1.Time';
const microTime = 'io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime';
const quantity = 'io.k8s.apimachinery.pkg.api.resource.Quantity';
const intOrString = 'io.k8s.apimachinery.pkg.util.intstr.IntOrString';
export const patchSchemaName = 'io.k8s.apimachinery.pkg.apis.meta.v1.Patch';

/** The dialects differ in where schemas live, and in how a choice of types is told. */
export interface Dialect {
  readonly prefix: string;
  readonly v3: boolean;
}

export const v2Dialect: Dialect = { prefix: '#/definitions/', v3: false };
export const v3Dialect: Dialect = { prefix: '#/components/schemas/', v3: true };

/** Collects the schemas that a document refers to. */
export class SchemaCollector {
  readonly schemas: Record<string, Json> = {};

  constructor(
    private readonly dialect: Dialect,
    private readonly docs: readonly (readonly string[])[],
  ) {}

  /** Adds a kind with all that it refers to; answers the name of its schema. */
  addKind(group: string, version: string, kind: string): string | undefined {
    const type = kindSchema(group, version, kind);
    if (!type) return undefined;
    this.#add(type);
    const schema = this.schemas[type.name] as Json;
    const owned = group === 'meta' ? '' : group;
    schema['x-kubernetes-group-version-kind'] = [{ group: owned, kind, version }];
    return type.name;
  }

  /** A custom resource: its own schema with the metadata that all kinds have; without one, any object. */
  addCustom({ type: { group, version, kind }, schema }: Pick<AnyDefinition, 'type' | 'schema'>): string {
    const name = customName(group, version, kind);
    const typeMeta = { 'x-kubernetes-group-version-kind': [{ group, kind, version }] };
    // kubectl takes what v2 names for all there may be: of an object with unknown fields it names none.
    if (!this.dialect.v3 && (!schema || schema['x-kubernetes-preserve-unknown-fields'])) {
      this.schemas[name] = { type: 'object', ...typeMeta };
      return name;
    }
    const own: Json = schema
      ? publishedSchema(schema, this.dialect)
      : { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
    const { properties = {}, type: _, ...rest } = own;
    const meta = this.#metaType('ObjectMeta');
    this.schemas[name] = {
      ...rest,
      type: 'object',
      properties: {
        apiVersion: { type: 'string', description: docs.apiVersion },
        kind: { type: 'string', description: docs.kind },
        metadata: this.dialect.v3
          ? { description: docs.metadata, allOf: [meta] }
          : { description: docs.metadata, ...meta },
        ...without(properties as Json, 'apiVersion', 'kind', 'metadata'),
      },
      ...typeMeta,
    };
    return name;
  }

  addCustomList(definition: Pick<AnyDefinition, 'type' | 'listKind'>, item: string): string {
    const { group, version, kind } = definition.type;
    const listKind = definition.listKind ?? `${kind}List`;
    const name = customName(group, version, listKind);
    const ref = this.ref(item);
    this.schemas[name] = {
      description: `${listKind} is a list of ${kind}`,
      type: 'object',
      required: ['items'],
      properties: {
        apiVersion: { type: 'string', description: docs.apiVersion },
        items: { type: 'array', items: ref, description: `List of ${definition.type.resource}.` },
        kind: { type: 'string', description: docs.kind },
        metadata: this.#metaType('ListMeta'),
      },
      'x-kubernetes-group-version-kind': [{ group, kind: listKind, version }],
    };
    return name;
  }

  /** A type of the meta group, found where every kind or list has it. */
  #metaType(bareName: 'ObjectMeta' | 'ListMeta'): Json {
    const owner = kindSchema('', 'v1', bareName === 'ObjectMeta' ? 'Pod' : 'PodList');
    const type = owner?.fields.get('metadata')?.value.type;
    if (!type) return { type: 'object' };
    this.#add(type);
    return this.ref(type.name);
  }

  addPatch(): string {
    this.schemas[patchSchemaName] ??= {
      description: 'Patch is provided to give a concrete name and type to the Kubernetes PATCH request body.',
      type: 'object',
    };
    return patchSchemaName;
  }

  ref(name: string): Json {
    return { $ref: this.dialect.prefix + name };
  }

  #add(type: TypeSchema): void {
    if (this.schemas[type.name]) return;
    const docs = this.docs[type.index] ?? [];
    const schema: Json = { ...describe(docs[0]), type: 'object' };
    // Before the fields: types may contain themselves.
    this.schemas[type.name] = schema;
    const properties: Json = {};
    const required: string[] = [];
    for (const field of type.fields.values()) {
      properties[field.name] = this.#field(type, field, docs[field.index + 1]);
      if (field.required) required.push(field.name);
    }
    if (Object.keys(properties).length > 0) schema['properties'] = properties;
    if (required.length > 0) schema['required'] = required;
    if (atomicTypes.has(type.bareName)) schema['x-kubernetes-map-type'] = 'atomic';
  }

  #field(type: TypeSchema, field: FieldSchema, doc: string | undefined): Json {
    const schema = this.#value(field.value);
    // v3 allows no siblings of $ref.
    const described: Json =
      '$ref' in schema && this.dialect.v3 ? { ...describe(doc), allOf: [schema] } : { ...describe(doc), ...schema };
    const rule = mergeRule(type.bareName, field.name);
    if (field.value.code === '[') {
      described['x-kubernetes-list-type'] = rule.listType;
      if (rule.listMapKeys.length > 0) described['x-kubernetes-list-map-keys'] = rule.listMapKeys;
    }
    const mapType = fieldMapType(type.bareName, field.name);
    if (mapType) described['x-kubernetes-map-type'] = mapType;
    const preset = listKeyDefaults.get(`${type.bareName}.${field.name}`);
    if (preset !== undefined) described['default'] = preset;
    const strategies = [rule.merge && 'merge', rule.retainKeys && 'retainKeys', rule.replace && 'replace'];
    const strategy = strategies.filter(Boolean).join(',');
    if (strategy !== '') described['x-kubernetes-patch-strategy'] = strategy;
    if (rule.mergeKey) described['x-kubernetes-patch-merge-key'] = rule.mergeKey;
    return described;
  }

  #value(value: ValueSchema): Json {
    switch (value.code) {
      case 's':
        return { type: 'string' };
      case 'b':
        return { type: 'boolean' };
      case 'i':
        return { type: 'integer', format: 'int32' };
      case 'l':
        return { type: 'integer', format: 'int64' };
      case 'd':
        return { type: 'number', format: 'double' };
      case 'y':
        return { type: 'string', format: 'byte' };
      case '[':
        return { type: 'array', items: this.#element(value.of as ValueSchema) };
      case '{':
        return { type: 'object', additionalProperties: this.#element(value.of as ValueSchema) };
      case '#':
        this.#add(value.type as TypeSchema);
        return this.ref((value.type as TypeSchema).name);
      case '*':
        return this.dialect.v3 ? { 'x-kubernetes-preserve-unknown-fields': true } : { type: 'object' };
      case 't':
        return this.#shared(time, { type: 'string', format: 'date-time' });
      case 'u':
        return this.#shared(microTime, { type: 'string', format: 'date-time' });
      case 'q':
        return this.#shared(
          quantity,
          this.#choice('number', { description: 'A fixed-point number: 100m, 1.5Gi, 2e3.' }),
        );
      case 'x':
        return this.#shared(intOrString, this.#choice('integer', { format: 'int-or-string' }));
    }
  }

  #element(value: ValueSchema): Json {
    const schema = this.#value(value);
    return '$ref' in schema && this.dialect.v3 ? { allOf: [schema] } : schema;
  }

  #choice(other: string, rest: Json): Json {
    return this.dialect.v3 ? { ...rest, oneOf: [{ type: 'string' }, { type: other }] } : { ...rest, type: 'string' };
  }

  #shared(name: string, schema: Json): Json {
    this.schemas[name] ??= schema;
    return this.ref(name);
  }
}

/** "com.example.v1.Widget": the parts of the group turned around. */
function customName(group: string, version: string, kind: string): string {
  return `${group.split('.').reverse().join('.')}.${version}.${kind}`;
}

function without(properties: Json, ...keys: string[]): Json {
  return Object.fromEntries(Object.entries(properties).filter(([key]) => !keys.includes(key)));
}

function describe(doc: string | undefined): Json {
  return doc ? { description: doc } : {};
}
