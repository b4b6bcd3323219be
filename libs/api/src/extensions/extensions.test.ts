import { within } from '@naru/foundation/testing';
import { parseJsonPath } from './json-path';
import { compilePattern, compileStructural } from './structural';
import { validateValue } from './validate-value';
import { pruneObject } from './prune';
import { applySchemaDefaults } from './defaults';
import { loadRules, ruleValidator } from './cel/load';
import { validateSchema } from './validate-schema';
import { describeFieldError, type FieldError } from '../validation/field-error';
import type { JsonSchema, ValidationRule } from './types';
import { compareVersions } from '../scheme/compare-versions';

const lines = (errors: readonly FieldError[]): string[] => errors.map(e => `${e.field}: ${describeFieldError(e)}`);
const objectOf = (properties: Record<string, JsonSchema>, more: JsonSchema = {}): JsonSchema => ({
  type: 'object',
  properties,
  ...more,
});

describe('a path', () => {
  const object = {
    metadata: { annotations: { 'a.b/c': 'x' } },
    status: {
      conditions: [
        { type: 'Ready', status: 'True' },
        { type: 'Synced', status: 'False', n: 3 },
      ],
    },
  };
  test.each([
    ['.status.conditions[?(@.type=="Ready")].status', ['True']],
    [`.status.conditions[?(@.type=='Synced')].status`, ['False']],
    ['.status.conditions[?(@.n>2)].type', ['Synced']],
    ['.status.conditions[0].type', ['Ready']],
    ['.status.conditions[-1].type', ['Synced']],
    ['.status.conditions[*].type', ['Ready', 'Synced']],
    ['.status.conditions[0:1].type', ['Ready']],
    [`.metadata.annotations['a.b/c']`, ['x']],
    ['.metadata.annotations.a\\.b/c', ['x']],
    ['..type', ['Ready', 'Synced']],
    ['.spec.nothing.here', []],
    ['.constructor', []],
  ])('%s finds %j', (path, found) => expect(parseJsonPath(path)(object)).toEqual(found));

  test.each(['.a[', '.a[?(x)]', '.a[b c]', '.a{}'])('%s is refused', path =>
    expect(() => parseJsonPath(path)).toThrow(),
  );
});

describe('a pattern', () => {
  test.each([
    ['(?i)^abc$', 'ABC', true],
    ['\\Aabc\\z', 'abc', true],
    ['^[[:alpha:]]+$', 'abc', true],
    ['^(?P<x>a)$', 'a', true],
  ])('%s on %s is as in Go', (pattern, text, matches) => expect(compilePattern(pattern).test(text)).toBe(matches));

  test.each(['(?=a)', '(a)\\1', '('])('%s is refused as by Go', pattern =>
    expect(() => compilePattern(pattern)).toThrow('error parsing regexp'),
  );
});

describe('values', () => {
  const check = (schema: JsonSchema, value: unknown, ...old: unknown[]): string[] =>
    lines(
      old.length === 0
        ? validateValue(value, compileStructural(schema))
        : validateValue(value, compileStructural(schema), old[0]),
    );

  test('that fit one of several schemas, or none', () => {
    const schema = objectOf({
      x: {
        ...objectOf({ a: { type: 'string' }, b: { type: 'string' } }),
        oneOf: [{ required: ['a'] }, { required: ['b'] }],
      },
    });
    expect(check(schema, { x: { a: '1' } })).toEqual([]);
    expect(check(schema, { x: {} })).toEqual([
      '<nil>: Invalid value: "": "x" must validate one and only one schema (oneOf). Found none valid',
      'x.a: Required value',
    ]);
    expect(check(schema, { x: { a: '1', b: '2' } })).toEqual([
      '<nil>: Invalid value: "": "x" must validate one and only one schema (oneOf). Found 2 valid alternatives',
    ]);
  });

  test('that were wrong before may stay as they are', () => {
    const schema = objectOf({ a: { type: 'string', maxLength: 1 }, b: { type: 'integer' } });
    expect(check(schema, { a: 'long', b: 2 }, { a: 'long', b: 1 })).toEqual([]);
    expect(check(schema, { a: 'longer', b: 2 }, { a: 'long', b: 1 })).toHaveLength(1);
  });

  test('that a pattern would take for ever with do not match', async () => {
    const schema = objectOf({ s: { type: 'string', pattern: '^(a{1,10}){1,20}$' } });
    expect(await within(2_000, () => check(schema, { s: `${'a'.repeat(40)}!` }))).toHaveLength(1);
  });

  test('that are of a wrong format, size or count', () => {
    expect(check(objectOf({ t: { type: 'string', format: 'date-time' } }), { t: 'x' })).toEqual([
      't: Invalid value: "x": t in body must be of type date-time: "x"',
    ]);
    expect(
      check(objectOf({ l: { type: 'array', items: { type: 'string' }, maxItems: 1 } }), { l: ['a', 'b'] }),
    ).toEqual(['l: Too many: 2: must have at most 1 items']);
    expect(check(objectOf({ s: { type: 'string', minLength: 2 } }), { s: '👍' })).toEqual([
      's: Invalid value: "👍": s in body should be at least 2 chars long',
    ]);
  });

  test('unknown are dropped, also deep in lists and maps, and kept where the schema says so', () => {
    const schema = compileStructural(
      objectOf({
        list: { type: 'array', items: objectOf({ a: { type: 'string' } }) },
        map: { type: 'object', additionalProperties: objectOf({ a: { type: 'string' } }) },
        free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true, properties: { inner: objectOf({}) } },
      }),
    );
    const value = {
      apiVersion: 'v',
      metadata: { x: 1 },
      top: 1,
      list: [{ a: '', b: 1 }],
      map: { k: { a: '', b: 1 } },
      free: { any: { thing: [{}] }, inner: { lost: 1 } },
    };
    expect(pruneObject(value, schema)).toEqual(['free.inner.lost', 'list[0].b', 'map.k.b', 'top']);
    expect(value).toEqual({
      apiVersion: 'v',
      metadata: { x: 1 },
      list: [{ a: '' }],
      map: { k: { a: '' } },
      free: { any: { thing: [{}] }, inner: {} },
    });
  });

  test('absent or null get their default, null only where it is not allowed', () => {
    const schema = compileStructural(
      objectOf({
        a: { type: 'string', default: 'd' },
        n: { type: 'string', nullable: true, default: 'd' },
        o: objectOf({ x: { type: 'integer', default: 1 } }, { default: {} }),
      }),
    );
    const value = { a: null, n: null };
    applySchemaDefaults(value, schema);
    expect(value).toEqual({ a: 'd', n: null, o: { x: 1 } });
  });
});

describe('rules', () => {
  beforeAll(loadRules);
  const run = (rule: Partial<ValidationRule>, schema: JsonSchema, value: unknown, old?: unknown): string[] => {
    const rules = [{ rule: '', ...rule }];
    return lines(
      ruleValidator(compileStructural({ ...schema, 'x-kubernetes-validations': rules })).validate(value, old),
    );
  };
  const numbers = objectOf({ a: { type: 'integer' }, b: { type: 'integer' } });

  test('say what failed', () => {
    expect(run({ rule: 'self.a < self.b' }, numbers, { a: 1, b: 2 })).toEqual([]);
    expect(run({ rule: 'self.a < self.b' }, numbers, { a: 2, b: 2 })).toEqual([
      '<nil>: Invalid value: failed rule: self.a < self.b',
    ]);
    expect(run({ rule: 'self.a < self.b' }, numbers, { a: 2 })).toEqual([
      '<nil>: Invalid value: "object": no such key: b evaluating rule: self.a < self.b',
    ]);
    expect(
      run({ rule: 'false', reason: 'FieldValueForbidden', message: ' no ', fieldPath: '.a' }, numbers, {}),
    ).toEqual(['a: Forbidden: no']);
  });

  test('about a change run only when there is one, or with an optional old value', () => {
    const rule = 'self.a >= oldSelf.a';
    expect(run({ rule }, numbers, { a: 1 })).toEqual([]);
    expect(run({ rule }, numbers, { a: 1 }, { a: 2 })).toHaveLength(1);
    const optional = { rule: '!oldSelf.hasValue() || self.a >= oldSelf.value().a', optionalOldSelf: true };
    expect(run(optional, numbers, { a: 1 })).toEqual([]);
    expect(run(optional, numbers, { a: 1 }, { a: 2 })).toHaveLength(1);
  });

  test('may ask whether any object has a field, and not only a path of names', () => {
    const schema = objectOf({ l: { type: 'array', items: numbers } });
    const value = { l: [{ a: 1 }, { b: 2 }] };
    expect(run({ rule: 'has(self.l[0].a) && !has(self.l[1].a)' }, schema, value)).toEqual([]);
    const nested = 'has(self.l.filter(x, has(x.b))[has(self.l[1].a) ? 1 : 0].b) && !(has(self.l[1].a))';
    expect(run({ rule: nested }, schema, value)).toEqual([]);
    expect(run({ rule: 'has(self.l[1].a)' }, schema, value)).toHaveLength(1);
    expect(run({ rule: 'has(self.l[9].a)' }, schema, value)[0]).toContain('evaluating rule');
    const format = 'format.dns1123Label().validate(self.l[0].a == 1 ? "a" : "b") == null';
    expect(run({ rule: format }, schema, value)).toEqual([`<nil>: Invalid value: failed rule: ${format}`]);
  });

  test('that an unchanged object breaks are let through', () => {
    expect(run({ rule: 'self.a == 0' }, numbers, { a: 1 }, { a: 1 })).toEqual([]);
  });

  test('see names that CEL keeps, and values by their format', () => {
    const schema = objectOf({
      namespace: { type: 'string' },
      'a-b': { type: 'string' },
      wait: { type: 'string', format: 'duration' },
      at: { type: 'string', format: 'date-time' },
    });
    const value = { namespace: 'n', 'a-b': 'x', wait: '90s', at: '2026-01-01T00:00:00Z' };
    const rule = `self.__namespace__ == 'n' && self.a__dash__b == 'x' && self.wait > duration('1m') && self.at.getFullYear() == 2026`;
    expect(run({ rule }, schema, value)).toEqual([]);
  });

  test('that would take too long are stopped', async () => {
    const schema = objectOf({ l: { type: 'array', items: { type: 'integer' } } });
    const rule = 'self.l.all(a, self.l.all(b, self.l.all(c, a + b + c >= 0)))';
    const value = { l: Array.from({ length: 2000 }, (_, i) => i) };
    expect(await within(5_000, () => run({ rule }, schema, value))).toEqual([
      '<nil>: Invalid value: "object": validation failed due to running out of cost budget, no further validation rules will be run',
    ]);
  });

  test.each([
    ['self.missing', "undefined field 'missing'"],
    ['has(self.missing)', "undefined field 'missing'"],
    [
      "self.a == 'x'",
      "1:8: found no matching overload for '_==_' applied to '(int, string)'\n | self.a == 'x'\n | .......^",
    ],
    ['self.a < 1.5', undefined],
    ["self.kind == 'x' && self.metadata.name == 'y'", undefined],
    ['self.metadata.labels.size() == 0', "undefined field 'labels'"],
    ['unknown == 1', "undeclared reference to 'unknown'"],
    ['self.a +', 'compilation failed'],
    ['1 + 1', 'cel expression must evaluate to a bool'],
    ['self.a == 1 && oldSelf.a == 1', undefined],
  ])('such as %s are checked when they are defined', (rule, problem) => {
    const errors: FieldError[] = [];
    validateSchema({ ...numbers, 'x-kubernetes-validations': [{ rule }] }, 'schema', errors);
    if (problem === undefined) expect(lines(errors)).toEqual([]);
    else expect(lines(errors)[0]).toContain(problem);
  });

  test('about the items of a plain list cannot look back', () => {
    const errors: FieldError[] = [];
    const items = { type: 'integer', 'x-kubernetes-validations': [{ rule: 'self >= oldSelf' }] };
    validateSchema(objectOf({ l: { type: 'array', items } }), 'schema', errors);
    expect(lines(errors)[0]).toContain(
      'oldSelf cannot be used on the uncorrelatable portion of the schema within schema.properties[l]',
    );
  });
});

test('versions are preferred as by Kubernetes', () => {
  const names = ['v1alpha1', 'foo', 'v1', 'v2beta1', 'v10', 'v2', 'v1beta2', 'bar'];
  expect(names.sort(compareVersions)).toEqual(['v10', 'v2', 'v1', 'v2beta1', 'v1beta2', 'v1alpha1', 'bar', 'foo']);
});
