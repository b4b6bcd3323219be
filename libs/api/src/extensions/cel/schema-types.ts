import type { Environment } from '@marcbachmann/cel-js';
import { escapeProperty } from './values';

/** A schema of an OpenAPI v3 document, as far as the types of CEL come from it. */
export interface OpenApiSchema {
  $ref?: string;
  allOf?: readonly OpenApiSchema[];
  oneOf?: readonly OpenApiSchema[];
  type?: string;
  format?: string;
  properties?: Readonly<Record<string, OpenApiSchema>>;
  additionalProperties?: OpenApiSchema | boolean;
  items?: OpenApiSchema;
  'x-kubernetes-int-or-string'?: boolean;
  'x-kubernetes-embedded-resource'?: boolean;
}

const componentPrefix = '#/components/schemas/';
const textTypes: Readonly<Record<string, string>> = {
  byte: 'bytes',
  duration: 'google.protobuf.Duration',
  date: 'google.protobuf.Timestamp',
  'date-time': 'google.protobuf.Timestamp',
};

/** Declares the types of schemas in an environment. Source: apiserver pkg/cel/common, SchemaDeclType. */
export class SchemaTypes {
  private readonly declared = new Map<string, string>();
  private readonly names = new Set<string>();
  private readonly known = new Map<OpenApiSchema, string | undefined>();

  constructor(
    private readonly environment: Environment,
    private readonly components: Readonly<Record<string, OpenApiSchema>>,
  ) {}

  /** The type of a schema, whose objects get their names from `name`. Undefined: rules cannot see such a value. */
  typeOf(schema: OpenApiSchema, name: string): string | undefined {
    if (!this.known.has(schema)) this.known.set(schema, this.newTypeOf(schema, name));
    return this.known.get(schema);
  }

  private newTypeOf(schema: OpenApiSchema, name: string): string | undefined {
    const { $ref, allOf } = schema;
    if ($ref) return this.componentType($ref);
    // A reference with more to say of it than its schema has.
    if (allOf?.length === 1) return this.typeOf(allOf[0]!, name);
    if (schema['x-kubernetes-int-or-string'] || (schema.oneOf && !schema.type)) return 'dyn';
    switch (schema.type) {
      case 'array': {
        const items = schema.items && this.typeOf(schema.items, `${name}.idx`);
        return items && `list<${items}>`;
      }
      case 'object':
        return this.objectType(schema, name);
      case 'string':
        return textTypes[schema.format ?? ''] ?? 'string';
      case 'boolean':
        return 'bool';
      case 'number':
        return 'double';
      case 'integer':
        return 'int';
      default:
        return undefined;
    }
  }

  private componentType(reference: string): string | undefined {
    const name = reference.slice(componentPrefix.length);
    const known = this.declared.get(name);
    if (known !== undefined) return known;
    const schema = this.components[name];
    if (!schema) return 'dyn';
    // A schema that contains itself is not followed further.
    this.declared.set(name, 'dyn');
    const type = this.typeOf(schema, name) ?? 'dyn';
    this.declared.set(name, type);
    return type;
  }

  private objectType(schema: OpenApiSchema, name: string): string | undefined {
    const { properties = {}, additionalProperties } = schema;
    if (additionalProperties === true) return 'map<string, dyn>';
    if (typeof additionalProperties === 'object') {
      const values = this.typeOf(additionalProperties, `${name}.elem`);
      return values && `map<string, ${values}>`;
    }
    if (schema['x-kubernetes-embedded-resource']) return this.resourceType(properties, name);
    return this.structType(properties, name);
  }

  /** The type of a whole object, of whose metadata the names are seen: that of a custom kind, or embedded in one. */
  resourceType(properties: Readonly<Record<string, OpenApiSchema>>, name: string): string {
    const text = { type: 'string' };
    const metadata = { type: 'object', properties: { name: text, generateName: text } };
    return this.structType({ ...properties, apiVersion: text, kind: text, metadata }, name);
  }

  private structType(properties: Readonly<Record<string, OpenApiSchema>>, name: string): string {
    const fields: Record<string, string> = {};
    for (const [property, schema] of Object.entries(properties)) {
      const field = escapeProperty(property);
      const type = field && this.typeOf(schema, `${name}.${field}`);
      if (type) fields[field] = type;
    }
    const type = this.nameFor(name);
    declareObject(this.environment, type, fields);
    return type;
  }

  /** A name that the engine takes, and that no other type has. */
  private nameFor(wanted: string): string {
    const plain = wanted.replace(/[^\w.]/g, '_');
    let name = plain;
    for (let i = 2; this.names.has(name); i++) name = `${plain}${i}`;
    this.names.add(name);
    return name;
  }
}

/** An object type, which may be compared with null as any object. */
export function declareObject(environment: Environment, name: string, fields: Record<string, string>): void {
  environment.registerType(name, { fields });
  environment.registerOperator(`${name} == null`, () => false);
}
