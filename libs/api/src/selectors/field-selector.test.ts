import type { KubeObject } from '../types';
import { parseFieldSelector } from './field-selector';

const source = {
  selectableFieldNames: ['metadata.name', 'spec.nodeName'],
  selectableFields: (o: KubeObject): Record<string, string> => ({
    'metadata.name': o.metadata?.name ?? '',
    'spec.nodeName': '',
  }),
};
const a: KubeObject = { metadata: { name: 'a' } };

describe('parseFieldSelector', () => {
  test.each([
    ['', true],
    ['metadata.name=a', true],
    ['metadata.name==a', true],
    ['metadata.name!=a', false],
    ['metadata.name=a,spec.nodeName=', true],
    ['metadata.name=a,spec.nodeName!=', false],
    ['metadata.name=a\\,b', false],
  ])('%j answers %s', (text, expected) => {
    expect(parseFieldSelector(text, source).matches(a)).toBe(expected);
  });

  test('a field that the kind does not have is refused by name', () => {
    expect(() => parseFieldSelector('spec.foo=a', source)).toThrow('field label not supported: spec.foo');
  });

  test('a term without an operator is refused', () => {
    expect(() => parseFieldSelector('metadata.name', source)).toThrow("can't understand 'metadata.name'");
  });

  test('an exact requirement can be asked for', () => {
    const selector = parseFieldSelector('metadata.name=a,spec.nodeName!=n', source);
    expect(selector.requiresExactly('metadata.name')).toBe('a');
    expect(selector.requiresExactly('spec.nodeName')).toBeUndefined();
  });
});
