import type { HttpRequest } from './http';
import { indent, isPretty } from './pretty';

test('an answer is broken into lines without a change of what it says', () => {
  const json = '{"a":{},"b":[],"c":[1,{"d":"x, {y}: \\"[z]\\" \\\\"}],"e":12345678901234567890,"f":null}';
  const lines = [
    ...['{', '  "a": {},', '  "b": [],', '  "c": [', '    1,', '    {', '      "d": "x, {y}: \\"[z]\\" \\\\"'],
    ...['    }', '  ],', '  "e": 12345678901234567890,', '  "f": null', '}'],
  ];
  expect(indent(json)).toBe(lines.join('\n'));
  expect(indent('[]')).toBe('[]');
});

test.each([
  ['/api', 'curl/8.1', 10, true],
  ['/api', 'Mozilla/5.0 (X11)', 10, true],
  ['/api', 'kubectl/v1.32', 10, false],
  ['/api', undefined, 10, false],
  ['/api?pretty=false', 'curl/8.1', 10, false],
  ['/api?pretty=true', 'kubectl/v1.32', 10, true],
  ['/api', 'curl/8.1', 100 << 20, false],
  ['//[?pretty=%', undefined, 10, false],
])('%s asked for by %s, of %i bytes, is made readable: %s', (url, agent, bytes, expected) => {
  expect(isPretty({ url, headers: { 'user-agent': agent } } as HttpRequest, bytes)).toBe(expected);
});
