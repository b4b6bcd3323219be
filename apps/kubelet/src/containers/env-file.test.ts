import { findInEnvFile } from './env-file';

const text = `  A='one'
# B='hidden'

B=' $HOME "two" = #2 ' # said aside
C='first
  second'
D=''
`;

test.each([
  ['A', 'one'],
  ['B', ' $HOME "two" = #2 '],
  ['C', 'first\n  second'],
  ['D', ''],
  ['E', undefined],
])('of a file with variables %s is literally what its quotes hold: %j', (key, expected) => {
  expect(findInEnvFile(text, key)).toBe(expected);
});

test.each([
  ['X=1', 'at line 1: value must be enclosed in single quotes'],
  ['X="1"', 'at line 1: value must be enclosed in single quotes'],
  ["X= '1'", 'at line 1: value must be enclosed in single quotes'],
  ["\nX ='1'", "at line 2: whitespace before '=' is not allowed"],
  ["X='1''2'", 'at line 1: unexpected content after closing quote'],
  ["X='1'#", 'at line 1: unexpected content after closing quote'],
  ["A='a'\nX='1", 'at line 2: unclosed single quote'],
  ["='1'", 'at line 1'],
  ["export\nX='1'", 'at line 1'],
])('a file with variables like %j is refused', (wrong, why) => {
  expect(() => findInEnvFile(wrong, 'X')).toThrow(`invalid environment variable format ${why}`);
});
