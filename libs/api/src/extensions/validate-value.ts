import { deepEqual } from '../deep-equal';
import { invalid, notSupported, required, tooLong, tooMany, type FieldError } from '../validation/field-error';
import { stringFormats } from './formats';
import type { Structural } from './structural';
import { isOutOfTime, runWithin } from './watchdog';

type JsonObject = Record<string, unknown>;

/** No schema error of an object is worth more lines than this. */
const maxErrors = 100;

const maxPatternMs = 100;

/** The old value at the same place; `absent` where there is none to compare with. */
const absent = Symbol('absent');

/**
 * Checks a value against its schema in the words of upstream (kube-openapi's validation). With `old`, what is wrong and
 * was so before is let through: upstream's ratcheting.
 */
export function validateValue(value: unknown, schema: Structural, old: unknown = absent, path = ''): FieldError[] {
  const errors: FieldError[] = [];
  check(value, schema, old, path, errors);
  return errors;
}

function check(value: unknown, schema: Structural, old: unknown, path: string, errors: FieldError[]): void {
  const before = errors.length;
  if (before >= maxErrors) return;
  checkNode(value, schema, old, path, errors);
  if (errors.length > before && old !== absent && deepEqual(value, old)) errors.length = before;
}

function checkNode(value: unknown, schema: Structural, old: unknown, path: string, errors: FieldError[]): void {
  checkType(value, schema, path, errors);
  if (value === null || value === undefined) return checkEnum(value, schema, path, errors);
  checkCombinations(value, schema, path, errors);
  if (typeof value === 'string') checkString(value, schema, path, errors);
  else if (typeof value === 'number') checkNumber(value, schema, path, errors);
  else if (Array.isArray(value)) checkArray(value, schema, old, path, errors);
  checkEnum(value, schema, path, errors);
  if (typeof value === 'object' && !Array.isArray(value)) checkObject(value as JsonObject, schema, old, path, errors);
}

function typeOf(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

function checkType(value: unknown, { schema, types }: Structural, path: string, errors: FieldError[]): void {
  if (types.length === 0) return;
  const actual = typeOf(value);
  if (actual === 'null' && schema.nullable) return;
  if (types.includes(actual) || (actual === 'integer' && types.includes('number'))) return;
  errors.push(typeInvalid(path, types.join(','), actual));
}

function typeInvalid(path: string, wanted: string, value: unknown): FieldError {
  const detail = `${bodyPath(path)} must be of type ${wanted}: ${JSON.stringify(value)}`;
  return { ...invalid(at(path), value, detail), type: 'FieldValueTypeInvalid' };
}

/** Upstream prints the root's missing path so. */
function at(path: string): string {
  return path === '' ? '<nil>' : path;
}

function bodyPath(path: string): string {
  return `${path} in body`;
}

function checkEnum(value: unknown, { schema }: Structural, path: string, errors: FieldError[]): void {
  if (!schema.enum || (value === null && schema.nullable)) return;
  if (schema.enum.some(allowed => deepEqual(allowed, value))) return;
  const supported = schema.enum.map(allowed => (typeof allowed === 'string' ? allowed : JSON.stringify(allowed)));
  errors.push(notSupported(at(path), value, supported));
}

function checkString(value: string, structural: Structural, path: string, errors: FieldError[]): void {
  const { schema, pattern, types } = structural;
  const { maxLength, minLength, format } = schema;
  if (maxLength !== undefined || minLength !== undefined) {
    const length = lengthOf(value);
    if (maxLength !== undefined && length > maxLength) errors.push(tooLong(at(path), maxLength));
    if (minLength !== undefined && length < minLength)
      errors.push(invalid(at(path), value, `${bodyPath(path)} should be at least ${minLength} chars long`));
  }
  if (pattern && !matches(pattern, value, structural.slowPattern))
    errors.push(invalid(at(path), value, `${bodyPath(path)} should match '${schema.pattern}'`));
  if (format !== undefined && types.includes('string') && stringFormats[format]?.(value) === false)
    errors.push(typeInvalid(path, format, value));
}

/** What cannot be decided in time does not match. */
function matches(pattern: RegExp, value: string, slow: boolean): boolean {
  if (!slow) return pattern.test(value);
  try {
    return runWithin(maxPatternMs, () => pattern.test(value));
  } catch (error) {
    if (isOutOfTime(error)) return false;
    throw error;
  }
}

/** Code points, as Go counts runes. */
function lengthOf(text: string): number {
  let length = text.length;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 0xd800 && code < 0xdc00) length--;
  }
  return length;
}

const integerFormats: Record<string, [number, number]> = {
  int32: [-0x80000000, 0x7fffffff],
  uint32: [0, 0xffffffff],
  uint64: [0, Infinity],
};

function checkNumber(value: number, { schema }: Structural, path: string, errors: FieldError[]): void {
  const { maximum, minimum, multipleOf, exclusiveMaximum, exclusiveMinimum, format } = schema;
  const add = (detail: string): void => void errors.push(invalid(at(path), value, `${bodyPath(path)} ${detail}`));
  if (multipleOf !== undefined && !Number.isInteger(value / multipleOf)) add(`should be a multiple of ${multipleOf}`);
  if (maximum !== undefined) {
    if (exclusiveMaximum && value >= maximum) add(`should be less than ${maximum}`);
    else if (value > maximum) add(`should be less than or equal to ${maximum}`);
  }
  if (minimum !== undefined) {
    if (exclusiveMinimum && value <= minimum) add(`should be greater than ${minimum}`);
    else if (value < minimum) add(`should be greater than or equal to ${minimum}`);
  }
  const range = schema.type === 'integer' && format !== undefined ? integerFormats[format] : undefined;
  if (range && (value < range[0] || value > range[1]))
    errors.push(invalid(at(path), value, `Checked value must be of type integer with format ${format}`));
}

function checkArray(value: unknown[], schema: Structural, old: unknown, path: string, errors: FieldError[]): void {
  const { maxItems, minItems } = schema.schema;
  const { items } = schema;
  if (items) {
    const earlier = Array.isArray(old) ? correlate(schema, old) : undefined;
    for (let i = 0; i < value.length && errors.length < maxErrors; i++)
      check(value[i], items, earlier?.(value[i]) ?? absent, `${path}[${i}]`, errors);
  }
  if (minItems !== undefined && value.length < minItems)
    errors.push(invalid(at(path), value.length, `${bodyPath(path)} should have at least ${minItems} items`));
  if (maxItems !== undefined && value.length > maxItems) errors.push(tooMany(at(path), value.length, maxItems));
}

/** Only the items of a list that is a map have an identity. */
export function correlate({ schema }: Structural, old: readonly unknown[]): ((item: unknown) => unknown) | undefined {
  const keys = schema['x-kubernetes-list-map-keys'];
  if (schema['x-kubernetes-list-type'] !== 'map' || !keys) return undefined;
  const known = new Map(old.map(item => [listMapKey(item, keys), item]));
  return item => known.get(listMapKey(item, keys));
}

export function listMapKey(item: unknown, keys: readonly string[]): string {
  if (typeof item !== 'object' || item === null) return '';
  return JSON.stringify(keys.map(key => (item as JsonObject)[key] ?? null));
}

function checkObject(value: JsonObject, schema: Structural, old: unknown, path: string, errors: FieldError[]): void {
  const { maxProperties, minProperties, required: wanted } = schema.schema;
  if (maxProperties !== undefined || minProperties !== undefined) {
    const count = Object.keys(value).length;
    if (minProperties !== undefined && count < minProperties)
      errors.push(invalid(at(path), count, `${bodyPath(path)} should have at least ${minProperties} properties`));
    if (maxProperties !== undefined && count > maxProperties) errors.push(tooMany(at(path), count, maxProperties));
  }
  const join = (key: string): string => (path === '' ? key : `${path}.${key}`);
  for (const key of wanted ?? []) if (value[key] === undefined) errors.push(required(join(key)));
  if (schema.properties.size === 0 && (schema.additional === undefined || schema.additional === true)) return;
  const before = typeof old === 'object' && old !== null && !Array.isArray(old) ? (old as JsonObject) : undefined;
  for (const key in value) {
    const child = schema.properties.get(key) ?? (schema.additional === true ? undefined : schema.additional);
    if (!child) continue;
    const earlier = before && before[key] !== undefined ? before[key] : absent;
    check(value[key], child, earlier, join(key), errors);
  }
}

function checkCombinations(value: unknown, schema: Structural, path: string, errors: FieldError[]): void {
  const { allOf, anyOf, oneOf, not } = schema;
  if (allOf.length + anyOf.length + oneOf.length === 0 && !not) return;
  const say = (text: string): void => void errors.push(invalid('<nil>', '', `${JSON.stringify(path)} ${text}`));
  if (anyOf.length > 0) {
    const failures = anyOf.map(branch => validateValue(value, branch, absent, path));
    if (!failures.some(found => found.length === 0)) {
      say('must validate at least one schema (anyOf)');
      errors.push(...best(failures));
    }
  }
  if (oneOf.length > 0) {
    const failures = oneOf.map(branch => validateValue(value, branch, absent, path));
    const valid = failures.filter(found => found.length === 0).length;
    if (valid !== 1) {
      const found = valid === 0 ? 'Found none valid' : `Found ${valid} valid alternatives`;
      say(`must validate one and only one schema (oneOf). ${found}`);
      if (valid === 0) errors.push(...best(failures));
    }
  }
  if (allOf.length > 0) {
    const failures = allOf.map(branch => validateValue(value, branch, absent, path));
    const failed = failures.filter(found => found.length > 0);
    if (failed.length > 0) {
      for (const found of failed) errors.push(...found);
      say(`must validate all the schemas (allOf)${failed.length === allOf.length ? '. None validated' : ''}`);
    }
  }
  if (not && validateValue(value, not, absent, path).length === 0) say('must not validate the schema (not)');
}

/** The alternative that was nearest. */
function best(failures: readonly FieldError[][]): FieldError[] {
  return failures.reduce((a, b) => (b.length < a.length ? b : a));
}
