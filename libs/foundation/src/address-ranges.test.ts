import { AddressRanges } from './address-ranges';

test('ranges are given as first and last address or as networks', () => {
  const ranges = AddressRanges.parse('10.0.0.254-10.0.1.1, 192.0.2.4/31, fd00::fffe-fd00::1:0');
  expect([...ranges.addresses(4)]).toEqual([
    '10.0.0.254',
    '10.0.0.255',
    '10.0.1.0',
    '10.0.1.1',
    '192.0.2.4',
    '192.0.2.5',
  ]);
  expect([...ranges.addresses(6)]).toEqual(['fd00::fffe', 'fd00::ffff', 'fd00::1:0']);
  expect(ranges.contains('fd00:0::ffff')).toBe(true);
  expect(ranges.contains('10.0.1.0')).toBe(true);
  expect(ranges.contains('10.0.1.2')).toBe(false);
  expect(ranges.contains('fd00::1')).toBe(false);
  expect(AddressRanges.parse('').isEmpty).toBe(true);
});

test.each([
  '10.0.0.9-10.0.0.1',
  '10.0.0',
  '10.0.0.1/24',
  '10.0.0.0/33',
  '10.0.0.1-',
  '10.0.0.0/24-10.0.1.0',
  '10.0.0.1-fd00::1',
  'x',
])('%s is no range', text => expect(() => AddressRanges.parse(text)).toThrow(`Cannot parse address range "${text}"`));
