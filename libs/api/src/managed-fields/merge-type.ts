/**
 * How a value merges: what tracking fields and server-side apply need to know of a schema. Types may refer to
 * themselves; what they give is asked for only where there are values.
 */
export type MergeType = LeafType | ObjectType | ListType;

/** A scalar, or an object or list that is one value (atomic). */
export interface LeafType {
  readonly kind: 'leaf';
}

/** An object whose fields have owners of their own. */
export interface ObjectType {
  readonly kind: 'object';
  /** The type of a field that the schema names. */
  field(name: string): MergeType | undefined;
  /** The type of all other fields: entries of a map. Undefined where there may be none. */
  readonly entries: MergeType | undefined;
  /**
   * The Go type holds it by value: it is there also when it is empty, so that creating it owns its fields and not the
   * object itself.
   */
  readonly inline: boolean;
}

/** A list whose elements have owners of their own. */
export interface ListType {
  readonly kind: 'list';
  /** The fields that tell the elements apart; none: a set of plain values. */
  readonly keys: readonly string[];
  /** What an absent key counts as. */
  keyDefault(key: string): unknown;
  readonly element: MergeType;
  readonly inline: boolean;
}

export const leafType: LeafType = { kind: 'leaf' };

/** Without a schema: objects are granular and lists are one value. */
export const untypedObject: ObjectType = {
  kind: 'object',
  field: () => undefined,
  get entries() {
    return untypedValue;
  },
  inline: false,
};

/** Marks a value that is an object or a leaf by what it is: see `typeOf`. */
export const untypedValue: MergeType = { kind: 'leaf' };

type JsonObject = Record<string, unknown>;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The type as it is for this value: what does not have the form that the schema says is one value. */
export function typeOf(type: MergeType, value: unknown): MergeType {
  if (type === untypedValue) return isJsonObject(value) ? untypedObject : leafType;
  if (type.kind === 'object') return isJsonObject(value) ? type : leafType;
  if (type.kind === 'list') return Array.isArray(value) ? type : leafType;
  return type;
}

export function fieldType(type: ObjectType, name: string): MergeType {
  return type.field(name) ?? type.entries ?? leafType;
}
