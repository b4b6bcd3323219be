import type { Change, StoreDriver } from '../driver';
import { until } from './until';

export interface StoreUnderTest {
  store: StoreDriver;
  /** Closes the store and opens it again on the same data; absent for drivers that forget. */
  reopen?(): Promise<StoreDriver>;
  cleanUp(): Promise<void>;
}

const put = (key: string, text: string) => ({ type: 'put' as const, key, value: Buffer.from(text) });
const remove = (key: string) => ({ type: 'delete' as const, key });

/** What every driver must do. `factory` gives an empty store whose change log holds at most 8 changes. */
export function storeSuite(name: string, factory: () => Promise<StoreUnderTest>): void {
  describe(`the store ${name}`, () => {
    let under: StoreUnderTest;
    let store: StoreDriver;

    beforeEach(async () => {
      under = await factory();
      store = under.store;
    });
    afterEach(() => under.cleanUp());

    const create = (key: string, text: string) =>
      store.txn({ compare: [{ key, modRevision: 0 }], operations: [put(key, text)] });

    test('gives back what was put, with the revision that wrote it', async () => {
      const first = await create('a/1', 'one');
      const second = await create('a/2', 'two');
      expect(second.revision).toBeGreaterThan(first.revision);
      expect(await store.get('a/1')).toEqual({ key: 'a/1', value: Buffer.from('one'), modRevision: first.revision });
      expect(await store.get('a/3')).toBeUndefined();
      expect(store.revision).toBe(second.revision);
    });

    test('refuses a transaction whose compare does not hold, and writes nothing of it', async () => {
      const { revision } = await create('a/1', 'one');
      expect(await create('a/1', 'again')).toEqual({ committed: false, revision });
      const mixed = await store.txn({
        compare: [
          { key: 'a/1', modRevision: revision },
          { key: 'a/2', modRevision: 7 },
        ],
        operations: [put('a/1', 'changed'), put('a/2', 'new')],
      });
      expect(mixed.committed).toBe(false);
      expect((await store.get('a/1'))?.value.toString()).toBe('one');
      expect(await store.get('a/2')).toBeUndefined();
    });

    test('of many writers with the same expectation lets exactly one win', async () => {
      const { revision } = await create('counter', '0');
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          store.txn({ compare: [{ key: 'counter', modRevision: revision }], operations: [put('counter', String(i))] }),
        ),
      );
      expect(results.filter(result => result.committed)).toHaveLength(1);
    });

    test('lists a prefix in key order, in pages', async () => {
      for (const key of ['b/2', 'a/1', 'b/1', 'b/3', 'c/1']) await create(key, key);
      const first = await store.range('b/', { limit: 2 });
      expect(first.items.map(item => item.key)).toEqual(['b/1', 'b/2']);
      expect(first).toMatchObject({ more: true, revision: store.revision });
      const rest = await store.range('b/', { from: 'b/2\0' });
      expect(rest.items.map(item => item.key)).toEqual(['b/3']);
      expect(rest.more).toBe(false);
    });

    test('lists what was, or says Expired', async () => {
      const { revision } = await create('a/1', 'one');
      await store.txn({ compare: [], operations: [put('a/1', 'two'), put('a/2', 'new')] });
      const past = store.range('a/', { revision });
      if (store.sync) expect((await past).items.map(({ value }) => value.toString())).toEqual(['one']);
      else await expect(past).rejects.toMatchObject({ reason: 'Expired' });
      expect((await store.range('a/', { revision: store.revision })).items).toHaveLength(2);
    });

    test('deletes, and deleting what is absent changes nothing', async () => {
      const { revision } = await create('a/1', 'one');
      const done = await store.txn({ compare: [{ key: 'a/1', modRevision: revision }], operations: [remove('a/1')] });
      expect(done.committed).toBe(true);
      expect(await store.get('a/1')).toBeUndefined();
      const seen: Change[] = [];
      store.watch('', done.revision, { onChanges: changes => seen.push(...changes), onError: () => undefined });
      await store.txn({ compare: [], operations: [remove('a/1')] });
      expect(seen).toEqual([]);
    });

    test('tells watchers every change in order, before the writer hears of it', async () => {
      const seen: string[] = [];
      const stop = store.watch('w/', store.revision, {
        onChanges: changes => seen.push(...changes.map(({ type, key, value }) => `${type} ${key} ${value}`)),
        onError: () => undefined,
      });
      const { revision } = await create('w/1', 'one');
      expect(seen).toEqual(['put w/1 one']);
      await create('other', 'x');
      await store.txn({
        compare: [{ key: 'w/1', modRevision: revision }],
        operations: [put('w/1', 'two'), put('w/2', 'new')],
      });
      await store.txn({ compare: [], operations: [remove('w/1')] });
      expect(seen).toEqual(['put w/1 one', 'put w/1 two', 'put w/2 new', 'delete w/1 ']);
      stop();
      await create('w/3', 'x');
      expect(seen).toHaveLength(4);
    });

    test('lets a watch begin in the past, and says Expired when that is too long ago', async () => {
      const begin = store.revision;
      const { revision } = await create('k/0', '0');
      for (let i = 1; i <= 3; i++) await create(`k/${i}`, String(i));
      const keys: string[] = [];
      store.watch('', revision, {
        onChanges: some => keys.push(...some.map(({ key }) => key)),
        onError: () => undefined,
      });
      expect(keys).toEqual(['k/1', 'k/2', 'k/3']);
      for (let i = 4; i <= 20; i++) await create(`k/${i}`, String(i));
      expect(() => store.watch('', begin, { onChanges: () => undefined, onError: () => undefined })).toThrow(
        expect.objectContaining({ reason: 'Expired' }),
      );
    });

    test('forgets what was compacted', async () => {
      const begin = store.revision;
      const { revision } = await create('k', '1');
      await store.compact(revision);
      const listener = { onChanges: () => undefined, onError: () => undefined };
      expect(() => store.watch('', begin, listener)).toThrow(expect.objectContaining({ reason: 'Expired' }));
      expect(() => store.watch('', revision, listener)).not.toThrow();
    });

    test('deletes by itself what was put for a time, unless it was written again', async () => {
      const timed = (key: string) => ({ ...put(key, key), ttlSeconds: 1 });
      await store.txn({ compare: [], operations: [timed('t/goes'), timed('t/stays'), put('t/other', 'x')] });
      const gone: string[] = [];
      store.watch('t/', store.revision, {
        onChanges: some => gone.push(...some.filter(({ type }) => type === 'delete').map(({ key }) => key)),
        onError: () => undefined,
      });
      await store.txn({ compare: [], operations: [put('t/stays', 'for ever')] });
      if (under.reopen) store = await under.reopen();
      await until(async () => (await store.get('t/goes')) === undefined);
      expect((await store.range('t/')).items.map(({ key }) => key)).toEqual(['t/other', 't/stays']);
      if (!under.reopen) expect(gone).toEqual(['t/goes']);
    });

    test('says how much of its space is used', async () => {
      const { usedBytes, limitBytes } = await store.usage();
      expect(usedBytes).toBeLessThan(limitBytes);
    });

    test('keeps data and revision over a restart', async () => {
      if (!under.reopen) return;
      await create('a/1', 'one');
      const { revision } = await create('a/2', 'two');
      store = await under.reopen();
      expect(store.revision).toBe(revision);
      expect((await store.range('a/')).items.map(item => [item.key, item.modRevision])).toEqual([
        ['a/1', revision - 1],
        ['a/2', revision],
      ]);
      expect((await create('a/3', 'three')).revision).toBeGreaterThan(revision);
    });
  });
}
