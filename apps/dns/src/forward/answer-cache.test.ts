import { encodeAnswer } from '../wire/answer';
import { nameOf } from '../wire/name';
import { AnswerCache, type CacheEntry } from './answer-cache';

const answer = encodeAnswer(nameOf('a.test') as string, {
  rcode: 0,
  authoritative: false,
  answers: [{ name: nameOf('a.test') as string, type: 1, ttl: 30, data: Buffer.alloc(4) }],
  authority: [],
  additional: [],
});

function entry(rest: Partial<CacheEntry> = {}): CacheEntry {
  return { answer, storedAt: 0, expiresAt: 30_000, hits: 0, negative: false, refreshing: false, ...rest };
}

test('an entry is there until its time is over', () => {
  const cache = new AnswerCache({ maxEntries: 10, maxBytes: 1e6 });
  cache.set('a', entry());
  expect(cache.get('a', 29_999)).toBeDefined();
  expect(cache.get('a', 30_000)).toBeUndefined();
  expect(cache.sizes).toEqual({ success: 0, denial: 0, bytes: 0 });
});

test('the number of entries is bounded, and what is in use stays longer', () => {
  const cache = new AnswerCache({ maxEntries: 100, maxBytes: 1e6 });
  cache.set('popular', entry());
  for (let i = 0; i < 1_000; i++) {
    cache.get('popular', 1);
    cache.set(`name-${i}`, entry({ negative: i % 2 === 0 }));
  }
  expect(cache.get('popular', 1)).toBeDefined();
  const { success, denial } = cache.sizes;
  expect(success + denial).toBe(100);
  expect(cache.evictions).toBe(901);
});

test('the bytes are bounded', () => {
  const cache = new AnswerCache({ maxEntries: 1e6, maxBytes: 100_000 });
  for (let i = 0; i < 1_000; i++) cache.set(`name-${i}`, entry());
  expect(cache.sizes.bytes).toBeLessThanOrEqual(100_000);
  expect(cache.sizes.success).toBeGreaterThan(50);
});
