import { structure } from '../generated/structure';

/**
 * What a field holds. Codes: s string, b boolean, i int32, l int64, d number, t time, u time with microseconds,
 * y base64 bytes, x integer or string, q quantity, * anything, # an object of `type`, [ an array and { a map `of` values.
 */
export interface ValueSchema {
  readonly code: 's' | 'b' | 'i' | 'l' | 'd' | 't' | 'u' | 'y' | 'x' | 'q' | '*' | '#' | '[' | '{';
  readonly of?: ValueSchema;
  /** Loaded on first use: types refer to each other, and most are never needed. */
  readonly type?: TypeSchema;
}

export interface FieldSchema {
  readonly name: string;
  readonly required: boolean;
  readonly value: ValueSchema;
  /** Place in the type, which is that of its documentation. */
  readonly index: number;
}

interface Structure {
  types: string[][];
  kinds: [group: string, version: string, kind: string, type: number][];
}

/** One object type of the API. */
export class TypeSchema {
  /** As OpenAPI names it: "io.k8s.api.core.v1.PodSpec". */
  readonly name: string;
  /** "PodSpec" */
  readonly bareName: string;
  #fields: Map<string, FieldSchema> | undefined;

  constructor(
    readonly index: number,
    readonly row: readonly string[],
  ) {
    this.name = row[0] ?? '';
    this.bareName = this.name.slice(this.name.lastIndexOf('.') + 1);
  }

  get fields(): ReadonlyMap<string, FieldSchema> {
    return (this.#fields ??= new Map(
      this.row.slice(1).map((text, index) => {
        const colon = text.indexOf(':');
        const required = text.endsWith('!');
        const name = text.slice(0, colon);
        const value = parseValue(text.slice(colon + 1, required ? -1 : undefined));
        return [name, { name, required, value, index }];
      }),
    ));
  }
}

class ObjectValue implements ValueSchema {
  readonly code = '#';
  #type: TypeSchema | undefined;
  readonly #index: number;
  constructor(index: number) {
    this.#index = index;
  }
  get type(): TypeSchema {
    return (this.#type ??= typeAt(this.#index));
  }
}

const scalars = new Map<string, ValueSchema>();

function parseValue(code: string): ValueSchema {
  const first = code[0] as ValueSchema['code'];
  if (first === '#') return new ObjectValue(Number(code.slice(1)));
  if (first === '[' || first === '{') return { code: first, of: parseValue(code.slice(1)) };
  let scalar = scalars.get(code);
  if (!scalar) scalars.set(code, (scalar = { code: first }));
  return scalar;
}

let loaded: { types: TypeSchema[]; kinds: Map<string, number> } | undefined;

function load(): NonNullable<typeof loaded> {
  if (loaded) return loaded;
  const { types, kinds } = JSON.parse(structure) as Structure;
  loaded = {
    types: types.map((row, index) => new TypeSchema(index, row)),
    kinds: new Map(kinds.map(([group, version, kind, type]) => [`${group}/${version}/${kind}`, type])),
  };
  return loaded;
}

function typeAt(index: number): TypeSchema {
  const type = load().types[index];
  if (!type) throw new Error(`The schema has no type ${index}`);
  return type;
}

/** The schema of a kind, or undefined for one that is not built in. "meta" is the group of Status and DeleteOptions. */
export function kindSchema(group: string, version: string, kind: string): TypeSchema | undefined {
  const index = load().kinds.get(`${group}/${version}/${kind}`);
  return index === undefined ? undefined : typeAt(index);
}
