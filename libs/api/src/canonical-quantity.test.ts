import { canonicalAmount, canonicalQuantity, Quantity } from './canonical-quantity';

describe('Quantity', () => {
  test.each([
    ['0', '0'],
    ['100m', '100m'],
    ['1000m', '1'],
    ['0.5', '500m'],
    ['1.5Gi', '1536Mi'],
    ['1024Mi', '1Gi'],
    ['1000Ki', '1000Ki'],
    ['1023', '1023'],
    ['0.5Ki', '512'],
    ['1.3Ki', '1331200m'],
    ['1500k', '1500k'],
    ['1000k', '1M'],
    ['1e3', '1e3'],
    ['12e2', '1200'],
    ['100000', '100k'],
    ['-5', '-5'],
    ['+2', '2'],
    ['.5', '500m'],
    ['1e-10', '1e-9'],
    ['64Ei', '9223372036854775807'],
  ])('%s is written canonically as %s', (text, expected) => {
    expect(canonicalQuantity(text)).toBe(expected);
  });

  test('canonical form is stable', () => {
    for (const text of ['1536Mi', '500m', '3e6', '7k', '12345678901'])
      expect(canonicalQuantity(canonicalQuantity(text))).toBe(canonicalQuantity(text));
  });

  test('amounts are rounded up to thousandths', () => {
    expect(canonicalAmount('1u')).toBe('1m');
    expect(canonicalAmount('0.1234')).toBe('124m');
  });

  test.each(['', 'abc', '1Qi', '1 Gi', '1..2', '--1'])('%j is refused with the grammar', text => {
    expect(() => Quantity.parse(text)).toThrow(/quantities must match the regular expression/);
  });

  test('arithmetic is exact', () => {
    const sum = Quantity.parse('0.1').add(Quantity.parse('0.2'));
    expect(sum.toString()).toBe('300m');
    expect(sum.compare(Quantity.parse('0.3'))).toBe(0);
    expect(Quantity.parse('1Gi').compare(Quantity.parse('1G'))).toBe(1);
    expect(Quantity.parse('1Gi').subtract(Quantity.parse('512Mi')).toString()).toBe('512Mi');
  });
});
