import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { build } from 'esbuild';
import { seeded } from '../testing/seeded';
import { storeSuite } from '../testing/store-suite';
import { LmdbDriver } from './lmdb-driver';

const log = { changes: 8, bytes: 1 << 20 };
const folders: string[] = [];

function newFolder(): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'naru-store-'));
  folders.push(folder);
  return folder;
}

afterAll(() => folders.forEach(folder => rmSync(folder, { recursive: true, force: true })));

storeSuite('lmdb', async () => {
  const directory = newFolder();
  let store = await LmdbDriver.open({ directory, log });
  return {
    store,
    reopen: async () => {
      await store.close();
      return (store = await LmdbDriver.open({ directory, log }));
    },
    cleanUp: () => store.close(),
  };
});

test('a second process, or a second open, is told that the store is in use', async () => {
  const directory = newFolder();
  const store = await LmdbDriver.open({ directory });
  await expect(LmdbDriver.open({ directory })).rejects.toThrow(/is in use by another process/);
  await store.close();
  await (await LmdbDriver.open({ directory })).close();
});

test('refuses more writes than may wait', async () => {
  const store = await LmdbDriver.open({ directory: newFolder(), maxWaiting: 3 });
  const results = await Promise.allSettled(
    Array.from({ length: 10 }, (_, i) =>
      store.txn({ compare: [], operations: [{ type: 'put', key: `k/${i}`, value: Buffer.from('x') }] }),
    ),
  );
  const refused = results.filter(result => result.status === 'rejected');
  expect(refused).toHaveLength(7);
  expect(refused[0]).toMatchObject({ reason: { reason: 'TooManyRequests' } });
  await store.close();
});

const asRoot = process.getuid?.() === 0 || process.env['CI'] === 'true' ? test : test.skip;

asRoot(
  'on a full disk writes fail with the reason, nothing acknowledged is lost, and room makes it write again',
  async () => {
    const disk = newFolder();
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'naru-store-test', disk]);
    // LMDB may print what the system said of a commit that failed.
    const printed = jest.spyOn(console, 'error').mockImplementation(() => undefined);
    const unhandled = jest.fn();
    process.on('unhandledRejection', unhandled);
    try {
      const directory = path.join(disk, 'store');
      let store = await LmdbDriver.open({ directory });
      const write = (key: string) =>
        store.txn({ compare: [], operations: [{ type: 'put', key, value: Buffer.alloc(10_000, key) }] });
      const ballast = path.join(disk, 'ballast');
      writeFileSync(ballast, Buffer.alloc(3 << 20));
      const outcomes: PromiseSettledResult<unknown>[] = [];
      const refusedOf = () => outcomes.filter(outcome => outcome.status === 'rejected');
      while (refusedOf().length < 5) outcomes.push(...(await Promise.allSettled([write(`k/${outcomes.length}`)])));
      const refused = refusedOf();
      for (const { reason } of refused)
        expect(reason).toMatchObject({
          reason: 'InternalError',
          message: 'the store cannot write: no space left on device',
        });
      const acknowledged = outcomes.length - refused.length;
      const count = async () => (await store.range('k/')).items.length;
      expect(await count()).toBe(acknowledged);

      rmSync(ballast);
      expect(await write('k/again')).toMatchObject({ committed: true, revision: acknowledged + 1 });
      await store.close();
      store = await LmdbDriver.open({ directory });
      expect(await count()).toBe(acknowledged + 1);
      await store.close();
      await new Promise(resolve => setImmediate(resolve));
      expect(unhandled).not.toHaveBeenCalled();
    } finally {
      process.off('unhandledRejection', unhandled);
      printed.mockRestore();
      execFileSync('umount', [disk]);
    }
  },
);

test('refuses to grow beyond its limit, and takes writes again after deletions', async () => {
  const store = await LmdbDriver.open({ directory: newFolder(), limitBytes: 1 << 20 });
  const write = (key: string) =>
    store.txn({ compare: [], operations: [{ type: 'put', key, value: Buffer.alloc(10_000, key) }] });
  const results = await Promise.allSettled(Array.from({ length: 200 }, (_, i) => write(`k/${i}`)));
  const refused = results.filter(result => result.status === 'rejected');
  expect(refused.length).toBeGreaterThan(0);
  expect(refused[0]).toMatchObject({
    reason: {
      reason: 'InternalError',
      code: 507,
      message: expect.stringContaining('database space exceeded') as string,
    },
  });
  const { usedBytes, limitBytes } = await store.usage();
  expect(usedBytes).toBeGreaterThan(limitBytes / 2);
  expect(usedBytes).toBeLessThan(limitBytes * 1.5);
  const { items } = await store.range('k/');
  await store.txn({ compare: [], operations: items.map(({ key }) => ({ type: 'delete', key })) });
  expect((await write('k/again')).committed).toBe(true);
  await store.close();
});

/** Writes as fast as it can, 16 at a time, and says each key after its write was acknowledged. */
const writer = `
import { LmdbDriver } from ${JSON.stringify(path.join(__dirname, 'lmdb-driver.ts'))};
async function main() {
  const store = await LmdbDriver.open({ directory: process.argv[2] });
  let next = 0;
  const work = async () => {
    for (;;) {
      const key = process.argv[3] + next++;
      const value = Buffer.from(key.repeat(100));
      const { committed } = await store.txn({ compare: [{ key, modRevision: 0 }], operations: [{ type: 'put', key, value }] });
      if (committed) process.stdout.write(key + '\\n');
    }
  };
  await Promise.all(Array.from({ length: 16 }, work));
}
void main();
`;

/** The long form is for before a release: NARU_STORE_ROUNDS=200. */
const rounds = Number(process.env['NARU_STORE_ROUNDS'] ?? 2);

test(
  'after kill -9 of the writing process every acknowledged write is there',
  async () => {
    const folder = newFolder();
    const directory = path.join(folder, 'data');
    writeFileSync(path.join(folder, 'writer.ts'), writer);
    // From there the native module is found.
    const bundle = path.resolve(__dirname, `../../../../dist/tests/store-writer-${process.pid}.cjs`);
    await build({
      entryPoints: [path.join(folder, 'writer.ts')],
      outfile: bundle,
      bundle: true,
      platform: 'node',
      format: 'cjs',
      external: ['lmdb'],
      logLevel: 'silent',
    });
    const random = seeded(rounds);
    let revision = 0;
    for (let round = 0; round < rounds; round++) {
      const prefix = `k/${round}/`;
      const enough = 1 + Math.floor(random() * 2000);
      const child = spawn(process.execPath, [bundle, directory, prefix], { stdio: ['ignore', 'pipe', 'inherit'] });
      const exited = once(child, 'exit');
      const acknowledged: string[] = [];
      for await (const line of readline.createInterface({ input: child.stdout })) {
        if (/^k\/\d+\/\d+$/.test(line)) acknowledged.push(line);
        if (acknowledged.length === enough) child.kill('SIGKILL');
      }
      expect(acknowledged.length).toBeGreaterThanOrEqual(enough);
      // Its output ends before it lets go of the store.
      await exited;
      const store = await LmdbDriver.open({ directory });
      const { items } = await store.range(prefix);
      const found = new Map(items.map(({ key, value }) => [key, value.toString()]));
      expect(acknowledged.filter(key => found.get(key) !== key.repeat(100))).toEqual([]);
      expect(store.revision).toBe(Math.max(...items.map(item => item.modRevision)));
      expect(Math.min(...items.map(item => item.modRevision))).toBeGreaterThan(revision);
      ({ revision } = store);
      // The next round shall not get slower by what this one left.
      await store.txn({ compare: [], operations: items.map(({ key }) => ({ type: 'delete', key })) });
      ({ revision } = store);
      await store.close();
    }
    rmSync(bundle);
  },
  240_000 + rounds * 5_000,
);
