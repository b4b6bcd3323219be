import { quantityMilliValue, quantityValue } from './quantity';

test.each([
  ['100m', 100],
  ['0.1', 100],
  ['1', 1000],
  ['1.5', 1500],
  ['1e3', 1_000_000],
  ['100u', 1],
  ['-2', -2000],
])('quantityMilliValue reads %s', (text, millis) => expect(quantityMilliValue(text)).toBe(millis));

test.each([
  ['1Gi', 1024 ** 3],
  ['1.5Ki', 1536],
  ['128974848', 128974848],
  ['129e6', 129e6],
  ['100m', 1],
  ['2k', 2000],
])('quantityValue reads %s', (text, units) => expect(quantityValue(text)).toBe(units));

test.each(['', 'Gi', '1Gx', '1 Gi', 'x'])('quantityValue refuses "%s"', text =>
  expect(() => quantityValue(text)).toThrow('Cannot parse quantity'),
);
