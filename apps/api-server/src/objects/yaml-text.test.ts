import { parseYamlText } from './yaml-text';

test('keys that a map has twice are told with their lines, in maps of every form', () => {
  const text = ['a: 1', 'b: {c: 1, d: 2, c: 3}', '"a": 2', 'list:', '- x: 1', "  'x': 2", '- x: 3'].join('\n');
  expect(parseYamlText(text)).toEqual({
    value: { a: 2, b: { c: 3, d: 2 }, list: [{ x: 2 }, { x: 3 }] },
    repeated: [2, 3, 6].map((line, index) => `line ${line}: key "${'cax'[index]}" already set in map`),
  });
});

test('a map may take in several others, and its own keys go first', () => {
  const text = ['base: &base {a: 1, b: 2}', 'more: &more {c: 3}', 'all:', '  <<: *base', '  <<: *more', '  a: 9'].join(
    '\n',
  );
  expect(parseYamlText(text)).toMatchObject({ value: { all: { a: 9, b: 2, c: 3 } }, repeated: [] });
});

test('of keys without end that are there twice a hundred are told', () => {
  const { value, repeated } = parseYamlText('k: 1\n'.repeat(5_000));
  expect(value).toEqual({ k: 1 });
  expect([repeated.length, repeated[99]]).toEqual([100, 'line 101: key "k" already set in map']);
});

test('a map of very many keys is read key by key', () => {
  const keys = Array.from({ length: 30_000 }, (_, index) => `k${index.toString(36)}`);
  const { value, repeated } = parseYamlText(`{${keys.join(',')}}`);
  expect([Object.keys(value as object).length, repeated]).toEqual([30_000, []]);
});
