import { configMaps, definitions } from '@naru/api';
import { WatchCache } from './watch-cache';

test('a snapshot is kept for five minutes, and known from the key on that it begins with', () => {
  const definition = definitions.find(({ type }) => type.resource === configMaps.resource)!;
  const cache = new WatchCache(definition, 1);
  cache.keepSnapshot(1, 0, [], 'default/m');
  expect(cache.snapshot(1, 299_999, 'default/m')).toEqual([]);
  expect(cache.snapshot(1, 299_999, 'default/a')).toBeUndefined();
  expect(cache.snapshot(1, 300_000, 'default/m')).toBeUndefined();
});
