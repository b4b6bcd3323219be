import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { systemClock } from '@naru/foundation';
import { LmdbDriver } from '@naru/store';
import { eventually, startTestServer, type TestServer } from '../testing/test-server';

const url = '/api/v1/namespaces/default/configmaps';
let folder: string;
let server: TestServer;

beforeAll(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'naru-limits-'));
  const store = await LmdbDriver.open({ directory: folder, limitBytes: 4 << 20 });
  // Waits for its next look at the store are short.
  const clock = { ...systemClock, sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(ms / 100, signal) };
  server = await startTestServer({ store, clock, eventTtlSeconds: 1 });
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

test('a store that fills up warns its writers, shows in the metrics, then refuses all but deletions', async () => {
  const data = { blob: 'x'.repeat(100_000) };
  let written = 0;
  let refused = '';
  const create = async (): Promise<number> => {
    const reply = await server.call('POST', url, { metadata: { name: `c-${written}` }, data });
    if (reply.code === 201) written++;
    else refused = reply.text;
    return reply.code;
  };
  expect(await create()).toBe(201);
  await eventually(async () => {
    if ((await create()) !== 201) return true;
    return undefined;
  });
  expect(written).toBeGreaterThan(10);
  expect(JSON.parse(refused)).toMatchObject({
    kind: 'Status',
    reason: 'InternalError',
    code: 507,
    message: expect.stringContaining('etcdserver: mvcc: database space exceeded') as string,
  });
  const warned = await eventually(async () => {
    const { headers } = await server.call(
      'PATCH',
      `${url}/c-0`,
      {},
      { headers: { 'content-type': 'application/merge-patch+json' } },
    );
    return headers['warning'];
  });
  expect(String(warned)).toMatch(/the store is \d+% full; at 100% only deletions are accepted/);
  const { text } = await server.call('GET', '/metrics');
  const metric = (name: string): number => Number(new RegExp(`^${name}(?:{[^}]*})? (\\S+)$`, 'm').exec(text)?.[1]);
  expect(metric('naru_storage_limit_bytes')).toBe(4 << 20);
  expect(metric('apiserver_storage_size_bytes')).toBeGreaterThan(3 << 20);
  // Reading and deleting go on, and make room.
  expect((await server.call('GET', `${url}/c-0`)).code).toBe(200);
  expect((await server.call('DELETE', url)).code).toBe(200);
  expect(await create()).toBe(201);
  await eventually(async () => {
    const { headers } = await server.call('POST', `${url}?dryRun=All`, { metadata: { name: 'dry' } });
    return headers['warning'] === undefined || undefined;
  });
});

test('events go by themselves after their time, and nothing else does', async () => {
  const involvedObject = { kind: 'Pod', namespace: 'default', name: 'p' };
  const events = '/api/v1/namespaces/default/events';
  expect((await server.call('POST', events, { metadata: { name: 'e' }, involvedObject })).code).toBe(201);
  expect((await server.call('POST', url, { metadata: { name: 'stays' } })).code).toBe(201);
  await eventually(async () => (await server.call('GET', `${events}/e`)).code === 404 || undefined);
  expect((await server.call('GET', `${url}/stays`)).code).toBe(200);
});
