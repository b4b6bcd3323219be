import type { AnyDefinition } from '../scheme/definition';
import { atomicTypes, fieldMapType, listKeyDefaults, mergeRule } from '../schema/patch-keys';
import { kindSchema, type FieldSchema, type TypeSchema, type ValueSchema } from '../schema/types';
import { leafType, untypedObject, untypedValue, type ListType, type MergeType, type ObjectType } from './merge-type';

const ofTypes = new WeakMap<TypeSchema, ObjectType>();
/** Types that Go holds by value wherever they are fields. */
const inlineTypes = /(?:Spec|Status|ObjectMeta|Strategy|ResourceRequirements)$/;

let unknownKind: ObjectType | undefined;

/** How the objects of a definition merge. */
export function mergeTypeOf(definition: Pick<AnyDefinition, 'type'> & { mergeType?(): ObjectType }): ObjectType {
  const { group, version, kind } = definition.type;
  return (
    definition.mergeType?.() ?? mergeTypeOfKind(group, version, kind) ?? (unknownKind ??= mergeTypeOfUnknownKind())
  );
}

/** How a built-in kind merges; undefined for others. */
export function mergeTypeOfKind(group: string, version: string, kind: string): ObjectType | undefined {
  const schema = kindSchema(group, version, kind);
  return schema && ofSchema(schema);
}

/** A kind without a schema: its metadata merges as all metadata does, the rest by its form. */
function mergeTypeOfUnknownKind(): ObjectType {
  return withMetadata(untypedObject);
}

/** `type` with the metadata that all kinds have. */
export function withMetadata(type: ObjectType): ObjectType {
  const metadata = mergeTypeOfKind('', 'v1', 'ConfigMap')?.field('metadata');
  return { ...type, entries: type.entries, field: name => (name === 'metadata' ? metadata : type.field(name)) };
}

function ofSchema(schema: TypeSchema): ObjectType {
  let type = ofTypes.get(schema);
  if (!type) ofTypes.set(schema, (type = objectType(schema)));
  return type;
}

function objectType(schema: TypeSchema): ObjectType {
  const fields = new Map<string, MergeType>();
  return {
    kind: 'object',
    field: name => {
      let type = fields.get(name);
      if (type) return type;
      const field = schema.fields.get(name);
      if (!field) return undefined;
      fields.set(name, (type = typeOfField(schema.bareName, field)));
      return type;
    },
    entries: undefined,
    inline: inlineTypes.test(schema.bareName),
  };
}

function typeOfField(owner: string, { name, value, required }: FieldSchema): MergeType {
  if (value.code === '[') return listType(owner, name, value.of as ValueSchema, required);
  const mapType = fieldMapType(owner, name);
  if (mapType === 'atomic') return leafType;
  if (mapType === 'granular' && value.type) return ofSchema(value.type);
  return typeOfValue(value);
}

function typeOfValue(value: ValueSchema): MergeType {
  switch (value.code) {
    case '#': {
      const type = value.type as TypeSchema;
      return atomicTypes.has(type.bareName) ? leafType : ofSchema(type);
    }
    case '{': {
      const of = typeOfValue(value.of as ValueSchema);
      return { kind: 'object', field: () => undefined, entries: of, inline: false };
    }
    default:
      return leafType;
  }
}

function listType(owner: string, name: string, of: ValueSchema, inline: boolean): MergeType {
  const { listType: kind, listMapKeys } = mergeRule(owner, name);
  if (kind === 'atomic') return leafType;
  if (kind === 'set') return setOf(inline);
  const element = of.code === '#' ? (of.type as TypeSchema) : undefined;
  if (!element) return leafType;
  return {
    kind: 'list',
    keys: [...listMapKeys].sort(),
    keyDefault: key => listKeyDefaults.get(`${element.bareName}.${key}`),
    element: typeOfValue(of),
    inline,
  };
}

function setOf(inline: boolean): ListType {
  return { kind: 'list', keys: [], keyDefault: () => undefined, element: leafType, inline };
}

/** The part of a structural schema (of a CustomResourceDefinition) that says how values merge. */
export interface StructuralSchema {
  type?: string | undefined;
  default?: unknown;
  properties?: Record<string, StructuralSchema> | undefined;
  additionalProperties?: StructuralSchema | boolean | undefined;
  items?: StructuralSchema | undefined;
  'x-kubernetes-list-type'?: string | undefined;
  'x-kubernetes-list-map-keys'?: readonly string[] | undefined;
  'x-kubernetes-map-type'?: string | undefined;
  'x-kubernetes-preserve-unknown-fields'?: boolean | undefined;
  'x-kubernetes-embedded-resource'?: boolean | undefined;
}

/** How a custom resource merges: made once for each schema, and asked for its parts only where there are values. */
export function mergeTypeOfStructuralSchema(schema: StructuralSchema): ObjectType {
  const type = structural(schema);
  return withMetadata(type.kind === 'object' ? type : untypedObject);
}

function structural(schema: StructuralSchema): MergeType {
  const { type, items, properties, additionalProperties } = schema;
  const preserves = schema['x-kubernetes-preserve-unknown-fields'] === true;
  if (type === 'array') {
    const kind = schema['x-kubernetes-list-type'];
    if (kind === 'set') return setOf(false);
    if (kind !== 'map' || !items) return leafType;
    return {
      kind: 'list',
      keys: [...(schema['x-kubernetes-list-map-keys'] ?? [])].sort(),
      keyDefault: key => items.properties?.[key]?.default,
      element: structural(items),
      inline: false,
    };
  }
  if (schema['x-kubernetes-map-type'] === 'atomic') return leafType;
  if (type !== 'object') return preserves && type === undefined ? untypedValue : leafType;
  const fields = new Map<string, MergeType>();
  const object: ObjectType = {
    kind: 'object',
    field: name => {
      let field = fields.get(name);
      const property = properties && Object.hasOwn(properties, name) ? properties[name] : undefined;
      if (!field && property) fields.set(name, (field = structural(property)));
      return field;
    },
    entries: entriesOf(additionalProperties, preserves),
    inline: false,
  };
  return schema['x-kubernetes-embedded-resource'] ? withMetadata(object) : object;
}

function entriesOf(additional: StructuralSchema['additionalProperties'], preserves: boolean): MergeType | undefined {
  if (typeof additional === 'object') return structural(additional);
  return preserves || additional === true ? untypedValue : undefined;
}
