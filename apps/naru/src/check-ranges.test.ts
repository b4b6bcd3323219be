import { ipFamilies } from './address';
import { checkRanges } from './check-ranges';
import { defaultRanges, defaultSettings } from './cluster';

test.each(ipFamilies)('the ranges that a cluster of %s has when nobody chooses are apart', ipFamily => {
  const settings = { ...defaultSettings, ...defaultRanges[ipFamily], ipFamily, name: 'apart' };
  expect(checkRanges(settings)).toBe(settings);
});
