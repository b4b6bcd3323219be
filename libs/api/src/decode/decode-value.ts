import { canonicalAmount, canonicalQuantity } from '../canonical-quantity';
import { goKind } from '../go-text';
import type { TypeSchema, ValueSchema } from '../schema/types';
import { normalizeMicroTime, normalizeTime } from './time';

/** A value that does not fit its schema; the message names the field in the words of Go's JSON decoder. */
export class DecodeError extends Error {
  /** In the words of upstream's converter, which makes objects of what a strategic merge gives. */
  readonly unconverted: string;

  constructor(message: string, { unconverted = message, cause }: { unconverted?: string; cause?: unknown } = {}) {
    super(message, { cause });
    this.unconverted = unconverted;
  }
}

/** Deep enough for every real object; a bound for what a client may send in fields without a schema. */
const maxDepth = 200;
/** Unknown fields beyond this many are dropped without a report. */
const maxUnknown = 100;
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

type JsonObject = Record<string, unknown>;

/** Sets a key that came from a client, whatever it is called. */
export function setKey(object: JsonObject, key: string, value: unknown): void {
  if (key === '__proto__')
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  else object[key] = value;
}

/** Copies a parsed JSON value along its schema; collects the paths of fields that the schema does not know. */
export class Decoder {
  readonly unknownFields: string[] = [];
  /** Of the map that was decoded last: to find out whether a large object has keys takes as long as to go through it. */
  #entries = 0;

  /** `owned`: the values are nobody else's, so that a map of texts need not be copied. */
  constructor(private readonly owned = false) {}

  object(type: TypeSchema, value: unknown, path: string, owner = type.bareName, depth = 0): JsonObject {
    if (!isObject(value)) throw mismatch(value, owner, path, `v1.${type.bareName}`);
    if (depth > maxDepth) throw new DecodeError(`exceeded max depth of ${maxDepth} at ${path}`);
    const copy: JsonObject = {};
    const fields = type.fields;
    for (const key in value) {
      const item = value[key];
      const field = fields.get(key);
      if (field) {
        if (item === null || item === undefined) continue;
        const fieldPath = path === '' ? key : `${path}.${key}`;
        const decoded = this.value(field.value, item, fieldPath, type.bareName, depth + 1);
        // As Go's omitempty: an optional list or map without entries is the same as none.
        if (!field.required && this.#isEmpty(field.value, decoded)) continue;
        copy[key] = decoded;
      } else if (this.unknownFields.length < maxUnknown) {
        this.unknownFields.push(path === '' ? key : `${path}.${key}`);
      }
    }
    return copy;
  }

  value(schema: ValueSchema, value: unknown, path: string, owner: string, depth: number): unknown {
    switch (schema.code) {
      case 's':
        if (typeof value !== 'string') throw mismatch(value, owner, path, 'string');
        return value;
      case '#':
        return this.object(schema.type as TypeSchema, value, path, owner, depth);
      case '[':
        return this.#list(schema, value, path, owner, depth);
      case '{':
        return this.#map(schema, value, path, owner, depth);
      case 'b':
        if (typeof value !== 'boolean') throw mismatch(value, owner, path, 'bool');
        return value;
      case 'i':
        if (typeof value !== 'number' || (value | 0) !== value) throw mismatch(value, owner, path, 'int32');
        return value;
      case 'l':
        // Beyond 2^53 the parser has lost digits already: refuse rather than store another number than was sent.
        if (!Number.isSafeInteger(value)) throw mismatch(value, owner, path, 'int64');
        return value;
      case 'd':
        if (typeof value !== 'number') throw mismatch(value, owner, path, 'float64');
        return value;
      case '*':
        return copyPlain(value, path, depth);
      default:
        return decodeText(schema, value, path, owner);
    }
  }

  #list(schema: ValueSchema, value: unknown, path: string, owner: string, depth: number): unknown[] {
    if (!Array.isArray(value)) throw mismatch(value, owner, path, `[]${goType(schema.of)}`);
    const of = schema.of as ValueSchema;
    const copy = new Array<unknown>(value.length);
    for (let i = 0; i < value.length; i++) {
      const item: unknown = value[i];
      copy[i] = this.value(of, item === null ? zeroOf(of) : item, `${path}[${i}]`, owner, depth + 1);
    }
    return copy;
  }

  #map(schema: ValueSchema, value: unknown, path: string, owner: string, depth: number): JsonObject {
    if (!isObject(value)) throw mismatch(value, owner, path, `map[string]${goType(schema.of)}`);
    const of = schema.of as ValueSchema;
    if (this.owned && of.code === 's') {
      const texts = Object.values(value);
      this.#entries = texts.length;
      if (texts.every(text => typeof text === 'string')) return value;
    }
    const copy: JsonObject = {};
    let entries = 0;
    for (const key in value) {
      entries++;
      const item = value[key];
      // A map of quantities is a ResourceList, whose amounts upstream rounds up to thousandths.
      const decoded =
        of.code === 'q'
          ? quantity(item, `${path}.${key}`, canonicalAmount)
          : this.value(of, item === null ? zeroOf(of) : item, `${path}.${key}`, owner, depth + 1);
      setKey(copy, key, decoded);
    }
    this.#entries = entries;
    return copy;
  }

  #isEmpty({ code }: ValueSchema, decoded: unknown): boolean {
    if (code === '[') return (decoded as unknown[]).length === 0;
    return code === '{' && this.#entries === 0;
  }
}

function decodeText(schema: ValueSchema, value: unknown, path: string, owner: string): unknown {
  switch (schema.code) {
    case 'q':
      return quantity(value, path, canonicalQuantity);
    case 'x':
      if (typeof value === 'string' || (typeof value === 'number' && (value | 0) === value)) return value;
      throw mismatch(value, owner, path, 'intstr.IntOrString');
    case 'y':
      if (typeof value !== 'string') throw mismatch(value, owner, path, '[]uint8');
      if (!base64.test(value)) throw new DecodeError(`illegal base64 data in field ${path}`);
      return value;
    default: {
      if (typeof value !== 'string') throw mismatch(value, owner, path, 'v1.Time');
      const time = schema.code === 'u' ? normalizeMicroTime(value) : normalizeTime(value);
      if (time === undefined) {
        throw new DecodeError(
          `parsing time ${JSON.stringify(JSON.stringify(value))} as "\\"2006-01-02T15:04:05Z07:00\\"": cannot parse the value of field ${path}`,
        );
      }
      return time;
    }
  }
}

function quantity(value: unknown, path: string, canonical: (text: string | number) => string): string {
  if (value === null) return '0';
  if (typeof value !== 'string' && typeof value !== 'number')
    throw new DecodeError(mismatch(value, 'Quantity', path, 'string').message);
  try {
    return canonical(value);
  } catch (cause) {
    throw new DecodeError(`${(cause as Error).message} in field ${path}`, { cause });
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What Go makes of a null among the elements of a list or map. */
function zeroOf(schema: ValueSchema): unknown {
  switch (schema.code) {
    case 's':
    case 'y':
      return '';
    case 'b':
      return false;
    case '#':
    case '{':
      return {};
    case '[':
      return [];
    case '*':
      return null;
    default:
      return 0;
  }
}

const goTypes: Partial<Record<ValueSchema['code'], string>> = {
  s: 'string',
  b: 'bool',
  i: 'int32',
  l: 'int64',
  d: 'float64',
  t: 'v1.Time',
  u: 'v1.MicroTime',
  y: '[]uint8',
  x: 'intstr.IntOrString',
  q: 'resource.Quantity',
  '*': 'interface {}',
};

function goType(schema: ValueSchema | undefined): string {
  if (!schema) return 'interface {}';
  if (schema.code === '#') return `v1.${schema.type?.bareName}`;
  if (schema.code === '[') return `[]${goType(schema.of)}`;
  if (schema.code === '{') return `map[string]${goType(schema.of)}`;
  return goTypes[schema.code] ?? schema.code;
}

function mismatch(value: unknown, owner: string, path: string, type: string): DecodeError {
  const field = path === '' ? 'value' : `struct field ${owner}.${path}`;
  const message = `json: cannot unmarshal ${jsonType(value)} into Go ${field} of type ${type}`;
  const unconverted = conversionProblem(value, type);
  return new DecodeError(message, unconverted === undefined ? {} : { unconverted });
}

/** Types that read themselves out of JSON, and say so in its words. */
const selfReading = new Set(['v1.Time', 'intstr.IntOrString']);

/** Source: apimachinery runtime/converter.go, fromUnstructured. */
function conversionProblem(value: unknown, type: string): string | undefined {
  const kind = goKind(value);
  if (selfReading.has(type)) return undefined;
  if (type.startsWith('[]')) return `cannot restore slice from ${kind}`;
  if (type.startsWith('map[')) return `cannot restore map from ${kind}`;
  if (type.startsWith('v1.')) return `cannot restore struct from: ${kind}`;
  const isConvertible = type === 'string' ? kind === 'int64' : type !== 'bool' && typeof value === 'number';
  return isConvertible ? `cannot convert ${kind} to ${type}` : `unrecognized type: ${type}`;
}

function jsonType(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  if (value === null) return 'null';
  // Go shows a number that is of the right type but out of range.
  if (typeof value === 'number') return `number ${value}`;
  return typeof value === 'boolean' ? 'bool' : typeof value;
}

function copyPlain(value: unknown, path: string, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (depth > maxDepth) throw new DecodeError(`exceeded max depth of ${maxDepth} at ${path}`);
  if (Array.isArray(value)) return value.map(item => copyPlain(item, path, depth + 1));
  const copy: JsonObject = {};
  for (const key in value) setKey(copy, key, copyPlain((value as JsonObject)[key], path, depth + 1));
  return copy;
}
