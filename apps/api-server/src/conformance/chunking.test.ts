import { systemClock } from '@naru/foundation';
import { okJson } from '../testing/expect-reply';
import { startTestServer, type Reply, type TestServer } from '../testing/test-server';

// Upstream's tests of lists in chunks, with a clock that can be put forward: what they wait for takes five minutes.
let lateMs = 0;
let api: TestServer;
beforeAll(async () => {
  api = await startTestServer({ clock: { ...systemClock, now: () => systemClock.now() + lateMs } });
  const containers = [{ name: 'test', image: 'test2' }];
  const template = { spec: { containers } };
  for (let i = 0; i < total; i++)
    await okJson(api.call('POST', templates, { metadata: { name: nameOf(i) }, template }), 201);
});
afterAll(() => api.close());

const templates = '/api/v1/namespaces/default/podtemplates';
const total = 80;
const tenth = total / 10;
const nameOf = (i: number): string => `template-${String(i).padStart(4, '0')}`;

const page = (limit: number, token = ''): Promise<Reply> =>
  api.call('GET', `${templates}?limit=${limit}${token === '' ? '' : `&continue=${token}`}`);

/** Checks a page that follows after `found` others, and tells how many are known with it. */
function follows({ items, metadata }: Reply['json'], found: number, limit: number): number {
  const names = (items as Reply['json'][]).map(item => item['metadata'].name as string);
  expect(names.length).toBeLessThanOrEqual(limit);
  expect(names).toEqual(names.map((_, i) => nameOf(found + i)));
  const known = found + names.length;
  if (metadata.continue) expect(metadata.remainingItemCount).toBe(total - known);
  else expect(metadata).not.toHaveProperty('remainingItemCount');
  return known;
}

/** Reads all pages after `first`, all of its version. */
async function readOn(first: Reply['json'], found: number, limit: () => number): Promise<number> {
  let known = found;
  for (let last = first; last['metadata'].continue;) {
    const size = limit();
    last = await okJson(page(size, last['metadata'].continue as string));
    expect(last['metadata'].resourceVersion).toBe(first['metadata'].resourceVersion);
    known = follows(last, known, size);
  }
  return known;
}

describe('a long list', () => {
  test('comes in chunks of any size, of one version, which know how many follow; or at once', async () => {
    let size = 0;
    const sizes = (): number => (size = (size % tenth) + 3);
    for (let round = 0; round < 3; round++) {
      const limit = sizes();
      const first = await okJson(page(limit));
      expect(await readOn(first, follows(first, 0, limit), sizes)).toBe(total);
    }
    const whole = await okJson(page(total + 1));
    expect(follows(whole, 0, total + 1)).toBe(total);
    expect(whole['metadata']).not.toHaveProperty('continue');
  });

  test('whose version is forgotten gives a token with its error, by which it goes on at another version', async () => {
    const first = await okJson(page(tenth));
    const found = follows(first, 0, tenth);
    const token = first['metadata'].continue as string;
    await okJson(api.call('POST', '/api/v1/namespaces/default/configmaps', { metadata: { name: 'later' } }), 201);
    expect(follows(await okJson(page(tenth, token)), found, tenth)).toBe(2 * tenth);
    lateMs += 5 * 60_000;
    const expired = await okJson(page(tenth, token), 410);
    expect(expired).toMatchObject({ kind: 'Status', reason: 'Expired' });
    const second = await okJson(page(tenth, expired['metadata'].continue as string));
    expect(second['metadata'].resourceVersion).not.toBe(first['metadata'].resourceVersion);
    expect(second['items']).toHaveLength(tenth);
    expect(await readOn(second, follows(second, found, tenth), () => tenth)).toBe(total);
  });
});
