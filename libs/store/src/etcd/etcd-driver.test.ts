import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { isReason } from '@naru/foundation';
import { Authority, createAuthority } from '@naru/pki';
import { etcd } from '@naru/proto';
import { EtcdTestServer } from '../testing/etcd-server';
import { seeded } from '../testing/seeded';
import { storeSuite } from '../testing/store-suite';
import { until } from '../testing/until';
import { Endpoints } from './endpoints';
import { Follower } from './follower';
import { EtcdDriver } from './etcd-driver';

const log = { changes: 8, bytes: 1 << 20 };
let server: EtcdTestServer;
let stores = 0;

beforeAll(async () => {
  server = await EtcdTestServer.start();
});
afterAll(() => server.stop());

storeSuite('etcd', async () => {
  // A part of the store of its own: much faster than another etcd for each test.
  const options = { servers: [server.url], prefix: `/test-${stores++}`, log };
  let store = await EtcdDriver.open(options);
  return {
    store,
    reopen: async () => {
      await store.close();
      return (store = await EtcdDriver.open(options));
    },
    cleanUp: () => store.close(),
  };
});

const put = (key: string, value: string | Buffer = 'x') => ({ type: 'put' as const, key, value: Buffer.from(value) });
const create = (store: EtcdDriver, key: string, value = 'x') =>
  store.txn({ compare: [{ key, modRevision: 0 }], operations: [put(key, value)] });

/** What a watch from now on hears, as text. */
function listen(store: EtcdDriver) {
  const heard: { key: string; type: string; revision: number }[] = [];
  store.watch('', store.revision, {
    onChanges: changes => heard.push(...changes.map(({ key, type, revision }) => ({ key, type, revision }))),
    onError: () => undefined,
  });
  return heard;
}

test('two stores on one etcd see what the other one wrote, after they asked how far it is', async () => {
  const options = { servers: [server.url], prefix: '/shared', log };
  const [first, second] = [await EtcdDriver.open(options), await EtcdDriver.open(options)];
  const heard = listen(second);
  const { revision } = await create(first, 'a/1');
  await second.sync();
  expect(heard).toEqual([{ key: 'a/1', type: 'put', revision }]);
  expect(second.revision).toBeGreaterThanOrEqual(revision);
  // What others keep in the same etcd moves the revision and is not ours.
  const stranger = await EtcdDriver.open({ ...options, prefix: '/shared-not' });
  await create(stranger, 'a/2');
  await second.sync();
  expect(heard).toHaveLength(1);
  expect((await second.range('')).items.map(({ key }) => key)).toEqual(['a/1']);
  await Promise.all([first, second, stranger].map(store => store.close()));
});

test('a store whose place was compacted meanwhile is told so', async () => {
  const store = await EtcdDriver.open({ servers: [server.url], prefix: '/compacted', log });
  for (let i = 0; i < 3; i++) await create(store, `k/${i}`);
  await store.compact(store.revision);
  const endpoints = new Endpoints([server.url], {});
  const oldest = await new Promise<number>(resolve =>
    new Follower({ endpoints, onEvents: () => undefined, onCompacted: resolve }, 1).start(),
  );
  expect(oldest).toBe(store.revision);
  endpoints.close();
  await store.close();
});

test('of two stores one compacts what is older than an interval', async () => {
  const alone = await EtcdTestServer.start();
  const options = { servers: [alone.url], prefix: '/naru', log, compactionIntervalMs: 100 };
  const stores = [await EtcdDriver.open(options), await EtcdDriver.open(options)];
  const { revision } = await create(stores[0]!, 'k');
  const plain = await EtcdDriver.open({ servers: [alone.url], prefix: '/naru', log: { changes: 0, bytes: 0 } });
  await until(async () => {
    const late = new Endpoints([alone.url], {});
    const request = etcd.RangeRequest.fromPartial({ key: Buffer.from('/naru/k'), revision: BigInt(revision) });
    const error = await late
      .call(({ kv }) => kv.range.bind(kv), request)
      .then(
        () => undefined,
        (reason: unknown) => reason,
      );
    late.close();
    return isReason(error, 'Expired');
  });
  expect((await plain.get('k'))?.modRevision).toBe(revision);
  await Promise.all([...stores, plain].map(store => store.close()));
  await alone.stop();
});

test('a full etcd refuses writes with the reason, and still takes deletions', async () => {
  const small = await EtcdTestServer.start({ quotaBytes: 2 << 20 });
  const store = await EtcdDriver.open({ servers: [small.url], prefix: '/naru', log, limitBytes: 2 << 20 });
  let refused: unknown;
  for (let i = 0; i < 100 && !refused; i++)
    await store
      .txn({ compare: [], operations: [put(`k/${i}`, Buffer.alloc(100_000, 'x'))] })
      .catch((error: unknown) => {
        refused = error;
      });
  expect(refused).toMatchObject({
    code: 507,
    message: expect.stringContaining('etcdserver: mvcc: database space exceeded') as string,
  });
  const { usedBytes, limitBytes } = await store.usage();
  expect(usedBytes).toBeGreaterThanOrEqual(limitBytes);
  const removed = await store.txn({ compare: [], operations: [{ type: 'delete', key: 'k/0' }] });
  expect(removed.committed).toBe(true);
  expect(await store.get('k/0')).toBeUndefined();
  await store.close();
  await small.stop();
});

test('speaks TLS with a certificate of its own, and is refused without', async () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'naru-etcd-tls-'));
  const authority = await Authority.load(await createAuthority());
  const pair = await authority.issue({
    subject: { commonName: 'etcd' },
    usages: ['server', 'client'],
    ipAddresses: ['127.0.0.1'],
  });
  const file = (name: string, text: string): string => {
    writeFileSync(path.join(folder, name), text);
    return path.join(folder, name);
  };
  const secure = await EtcdTestServer.start({
    tls: {
      ca: file('ca.crt', authority.certificate),
      certificate: file('etcd.crt', pair.certificate),
      key: file('etcd.key', pair.key),
    },
  });
  const options = { servers: [secure.url], prefix: '/naru', log };
  const store = await EtcdDriver.open({ ...options, tls: { ca: authority.certificate, ...pair } });
  expect((await create(store, 'k')).committed).toBe(true);
  await store.close();
  await expect(EtcdDriver.open({ ...options, tls: { ca: authority.certificate } })).rejects.toMatchObject({
    reason: 'ServiceUnavailable',
  });
  await secure.stop();
  rmSync(folder, { recursive: true });
});

test('goes on over another member when the one it used is killed, without losing or repeating a change', async () => {
  const members = await EtcdTestServer.cluster(3);
  const store = await EtcdDriver.open({ servers: members.map(({ url }) => url), prefix: '/naru', log });
  const heard = listen(store);
  const acknowledged: string[] = [];
  const write = async (key: string): Promise<void> => {
    try {
      if ((await create(store, key)).committed) acknowledged.push(key);
    } catch {
      // Unknown: it may be there.
    }
  };
  for (const victim of members) {
    for (let i = 0; i < 20; i++) await write(`${victim.url}/${i}`);
    await victim.kill();
    const before = acknowledged.length;
    for (let i = 0; acknowledged.length < before + 20; i++) await write(`${victim.url}/dead/${i}`);
    await victim.start();
  }
  await store.sync();
  const { items } = await store.range('');
  expect(items.map(({ key }) => key)).toEqual(expect.arrayContaining(acknowledged));
  expect(heard.map(({ key }) => key).sort()).toEqual(items.map(({ key }) => key));
  expect(heard.map(({ revision }) => revision)).toEqual(heard.map(({ revision }) => revision).sort((a, b) => a - b));
  await store.close();
  await Promise.all(members.map(member => member.stop()));
});

/** The long form is for before a release: NARU_STORE_ROUNDS=200. */
const rounds = Number(process.env['NARU_STORE_ROUNDS'] ?? 2);

test(
  'after kill -9 of etcd during writes every acknowledged write is there, and was heard of once and in order',
  async () => {
    const fragile = await EtcdTestServer.start();
    const store = await EtcdDriver.open({ servers: [fragile.url], prefix: '/naru' });
    const random = seeded(rounds);
    for (let round = 0; round < rounds; round++) {
      const enough = 1 + Math.floor(random() * 400);
      const heard = listen(store);
      const acknowledged: string[] = [];
      let next = 0;
      let killed: Promise<void> | undefined;
      const work = async (): Promise<void> => {
        while (!killed) {
          const key = `${round}/${next++}`;
          try {
            if ((await create(store, key, key.repeat(100))).committed) acknowledged.push(key);
          } catch {
            // Unknown: it may be there.
          }
          if (acknowledged.length >= enough) killed ??= fragile.kill();
        }
      };
      await Promise.all(Array.from({ length: 16 }, work));
      await killed;
      await fragile.start();
      await until(() =>
        store.sync().then(
          () => true,
          () => false,
        ),
      );
      const { items } = await store.range(`${round}/`);
      const found = new Map(items.map(({ key, value }) => [key, value.toString()]));
      expect(acknowledged.filter(key => found.get(key) !== key.repeat(100))).toEqual([]);
      const mine = heard.filter(({ key }) => key.startsWith(`${round}/`));
      expect(mine).toEqual(
        items
          .map(({ key, modRevision }) => ({ key, type: 'put', revision: modRevision }))
          .sort((a, b) => a.revision - b.revision),
      );
      for (const { key } of items) await store.txn({ compare: [], operations: [{ type: 'delete', key }] });
    }
    await store.close();
    await fragile.stop();
  },
  240_000 + rounds * 10_000,
);
