import { readFileSync } from 'node:fs';
import https from 'node:https';
import { EtcdDriver } from '@naru/store';
import { EtcdTestServer, seeded } from '@naru/store/testing';
import { Link } from './testing/link';
import { eventually, startTestServer, tokens, type Reply, type TestServer } from './testing/test-server';

const seed = Number(process.env['NARU_SEED'] ?? 7);
const configMaps = '/api/v1/namespaces/default/configmaps';
const services = '/api/v1/namespaces/default/services';

/** What comes from etcd takes this long: who does not ask how far etcd is shows the past. */
const lagMs = 10;

let etcd: EtcdTestServer;
let link: Link;
let servers: TestServer[];

beforeAll(async () => {
  etcd = await EtcdTestServer.start();
  link = await Link.to(Number(new URL(etcd.url).port), lagMs);
  const far = `http://127.0.0.1:${link.port}`;
  servers = [];
  for (let i = 0; i < 3; i++) {
    const store = await EtcdDriver.open({ servers: [i === 0 ? etcd.url : far], prefix: '/naru' });
    servers.push(await startTestServer({ store, advertise: { address: `10.0.0.${i + 1}`, port: 6443 } }));
  }
});
afterAll(async () => {
  await Promise.all(servers.map(server => server.close()));
  link.close();
  await etcd.stop();
});

interface Seen {
  type: string;
  name: string;
  revision: number;
  data: unknown;
}

/** Watches through one server and keeps all that it says. */
function watch({ port, files }: TestServer, path: string, revision: string) {
  const seen: Seen[] = [];
  const request = https.get({
    host: '127.0.0.1',
    port,
    path: `${path}?watch=true&resourceVersion=${revision}`,
    ca: readFileSync(files.ca),
    headers: { authorization: `Bearer ${tokens.admin}` },
    agent: false,
  });
  const opened = new Promise<void>((resolve, reject) => {
    request.on('error', reject);
    request.on('response', response => {
      resolve();
      let rest = '';
      response.on('error', () => undefined);
      response.setEncoding('utf8').on('data', (part: string) => {
        const lines = (rest + part).split('\n');
        rest = lines.pop()!;
        for (const line of lines) {
          const { type, object } = JSON.parse(line) as {
            type: string;
            object: { metadata: { name: string; resourceVersion: string }; data: unknown };
          };
          const { name, resourceVersion } = object.metadata;
          seen.push({ type, name, revision: Number(resourceVersion), data: object.data });
        }
      });
    });
  });
  return { seen, opened, stop: () => request.destroy() };
}

const pick = <T>(random: () => number, from: readonly T[]): T => from[Math.floor(random() * from.length)]!;

test('what one server acknowledged the others show at once, and a newer version than they know is no mistake', async () => {
  const [first, second, third] = servers as [TestServer, TestServer, TestServer];
  for (let i = 0; i < 8; i++) {
    const name = `handover-${i}`;
    const created = await first.call('POST', configMaps, { metadata: { name }, data: { step: '0' } });
    expect(created.code).toBe(201);
    const read = await second.call('GET', `${configMaps}/${name}`);
    expect(read.json['metadata']).toEqual(created.json['metadata']);
    // An update that names the version of another server's write is not a conflict.
    const updated = await third.call('PUT', `${configMaps}/${name}`, { ...read.json, data: { step: '1' } });
    expect(updated.code).toBe(200);
    const list = await first.call('GET', `${configMaps}?fieldSelector=metadata.name=${name}`);
    expect(list.json['items'][0].data).toEqual({ step: '1' });
    expect((await second.call('DELETE', `${configMaps}/${name}`)).code).toBe(200);
    expect((await third.call('GET', `${configMaps}/${name}`)).code).toBe(404);
    expect((await first.call('POST', configMaps, { metadata: { name } })).code).toBe(201);
  }
  // A namespace made over there is there for an object made here.
  await first.call('POST', '/api/v1/namespaces', { metadata: { name: 'fresh' } });
  const inside = await second.call('POST', '/api/v1/namespaces/fresh/configmaps', { metadata: { name: 'x' } });
  expect(inside.code).toBe(201);
});

test('a list that one server began is continued by another, as it was when it began', async () => {
  const [first, second, third] = servers as [TestServer, TestServer, TestServer];
  const url = '/api/v1/namespaces/pages/configmaps';
  await first.call('POST', '/api/v1/namespaces', { metadata: { name: 'pages' } });
  for (let i = 0; i < 6; i++) await first.call('POST', url, { metadata: { name: `p-${i}` }, data: { v: 'old' } });
  const begun = await first.call('GET', `${url}?limit=2`);
  await second.call('DELETE', `${url}/p-3`);
  await second.call('PUT', `${url}/p-4`, { metadata: { name: 'p-4' }, data: { v: 'new' } });
  await third.call('POST', url, { metadata: { name: 'p-9' } });
  let { continue: token } = begun.json['metadata'] as { continue: string };
  const names: string[] = [];
  for (const server of [second, third]) {
    const page = await server.call('GET', `${url}?limit=2&continue=${token}`);
    expect(page.json['metadata'].resourceVersion).toBe(begun.json['metadata'].resourceVersion);
    token = page.json['metadata'].continue as string;
    for (const { metadata, data } of page.json['items'] as { metadata: { name: string }; data: { v: string } }[])
      names.push(`${metadata.name} ${data.v}`);
  }
  expect(names).toEqual(['p-2 old', 'p-3 old', 'p-4 old', 'p-5 old']);
  expect(token).toBeUndefined();
});

test('the Service of the api-servers leads to all that are there, and to no one that has ended', async () => {
  const endpoints = async (): Promise<string[]> => {
    const { json } = await servers[0]!.call('GET', '/api/v1/namespaces/default/endpoints/kubernetes');
    return (json['subsets'][0].addresses as { ip: string }[]).map(({ ip }) => ip);
  };
  const store = await EtcdDriver.open({ servers: [etcd.url], prefix: '/naru' });
  const fourth = await startTestServer({ store, advertise: { address: '10.0.0.4', port: 6443 } });
  expect(await endpoints()).toContain('10.0.0.4');
  // Who could not renew in time is back with its next renewal.
  const are = (...addresses: string[]) => eventually(async () => (await endpoints()).join() === addresses.join());
  await are('10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4');
  await fourth.close();
  expect(await endpoints()).not.toContain('10.0.0.4');
  await are('10.0.0.1', '10.0.0.2', '10.0.0.3');
  const slice = await servers[1]!.call('GET', '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes');
  expect(slice.json['endpoints']).toHaveLength(3);
  expect((await servers[2]!.call('GET', '/readyz/etcd-readiness')).code).toBe(200);
});

test('many servers give each cluster address and node port once', async () => {
  const created = await Promise.all(
    Array.from({ length: 90 }, (_, i) =>
      servers[i % 3]!.call('POST', services, {
        metadata: { name: `s-${i}` },
        spec: { type: 'NodePort', ports: [{ port: 80 }] },
      }),
    ),
  );
  expect(created.map(({ code }) => code)).toEqual(created.map(() => 201));
  const specs = created.map(({ json }) => json['spec'] as { clusterIP: string; ports: [{ nodePort: number }] });
  expect(new Set(specs.map(({ clusterIP }) => clusterIP)).size).toBe(90);
  expect(new Set(specs.map(({ ports }) => ports[0].nodePort)).size).toBe(90);
  // Everybody wants the same ones, which are never given unasked: one gets them.
  const wanted = { clusterIP: '10.96.0.200', type: 'NodePort', ports: [{ port: 80, nodePort: 30077 }] };
  const rivals = await Promise.all(
    servers.map((server, i) => server.call('POST', services, { metadata: { name: `rival-${i}` }, spec: wanted })),
  );
  expect(rivals.map(({ code }) => code).sort()).toEqual([201, 422, 422]);
  expect(rivals.find(({ code }) => code === 422)!.text).toMatch(/provided (IP|port) is already allocated/);
  const addresses = async (server: TestServer): Promise<string[]> => {
    const { json } = await server.call('GET', '/apis/networking.k8s.io/v1/ipaddresses');
    return (json['items'] as { metadata: { name: string } }[]).map(({ metadata }) => metadata.name);
  };
  expect(await addresses(servers[1]!)).toEqual(expect.arrayContaining([...specs.map(s => s.clusterIP), '10.96.0.200']));
  // What is given up at one server is free at the others.
  const winner = rivals.findIndex(({ code }) => code === 201);
  await servers[(winner + 1) % 3]!.call('DELETE', `${services}/rival-${winner}`);
  expect(await addresses(servers[0]!)).not.toContain('10.96.0.200');
  const again = await servers[(winner + 2) % 3]!.call('POST', services, { metadata: { name: 'again' }, spec: wanted });
  expect(again.code).toBe(201);
});

test('while etcd is away nothing is made up: the present cannot be read, the cache can, and watches go on afterwards', async () => {
  const [first, second] = servers as [TestServer, TestServer];
  const url = '/api/v1/namespaces/away/configmaps';
  await first.call('POST', '/api/v1/namespaces', { metadata: { name: 'away' } });
  expect((await first.call('POST', url, { metadata: { name: 'before' } })).code).toBe(201);
  const list = await second.call('GET', url);
  const through = watch(second, url, (list.json['metadata'] as { resourceVersion: string }).resourceVersion);
  await through.opened;
  await etcd.kill();
  const [read, written, ready] = await Promise.all([
    second.call('GET', `${url}/before`),
    first.call('POST', url, { metadata: { name: 'lost' } }),
    second.call('GET', '/readyz'),
  ]);
  expect([503, 504]).toContain(read.code);
  expect([503, 504]).toContain(written.code);
  expect(ready.code).toBe(500);
  const cached = await second.call('GET', `${url}?resourceVersion=0`);
  expect((cached.json['items'] as unknown[]).length).toBe(1);
  expect((await second.call('GET', '/livez')).code).toBe(200);
  await etcd.start();
  for (const server of servers) await eventually(async () => (await server.call('GET', '/readyz')).code === 200);
  expect((await first.call('POST', url, { metadata: { name: 'after' } })).code).toBe(201);
  await eventually(() => through.seen.some(({ name }) => name === 'after') || undefined);
  expect(through.seen.filter(({ name }) => name === 'after')).toHaveLength(1);
  through.stop();
});

test(`watches on several servers tell the same story, whole and in order, while many write and one server ends (seed ${seed})`, async () => {
  const random = seeded(seed);
  const { json } = await servers[0]!.call('GET', configMaps);
  const start = (json['metadata'] as { resourceVersion: string }).resourceVersion;
  const state = new Map(
    (json['items'] as { metadata: { name: string }; data: unknown }[]).map(o => [o.metadata.name, o.data]),
  );
  const watches = servers.map(server => watch(server, configMaps, start));
  await Promise.all(watches.map(({ opened }) => opened));
  let alive = [...servers];
  let acknowledged = 0;
  /** A write through any server; undefined when that server went away under it, and nobody knows. */
  const attempt = (method: string, path: string, body?: unknown): Promise<Reply | undefined> =>
    pick(random, alive)
      .call(
        method,
        path,
        body,
        method === 'PATCH' ? { headers: { 'content-type': 'application/merge-patch+json' } } : {},
      )
      .catch(() => undefined);
  const writer = async (id: number): Promise<void> => {
    // What nobody knows the end of may still happen: from then on the objects are others.
    let unknown = 0;
    for (let step = 0; step < 40; step++) {
      const name = `w${id}-${unknown}-${Math.floor(random() * 5)}`;
      const data = { step: String(step) };
      const made = await attempt('POST', configMaps, { metadata: { name }, data });
      const written = made?.code === 409 ? await attempt('PATCH', `${configMaps}/${name}`, { data }) : made;
      if (written === undefined) {
        unknown++;
        continue;
      }
      expect([200, 201]).toContain(written.code);
      acknowledged++;
      const read = await attempt('GET', `${configMaps}/${name}`);
      if (read) expect(read.json['metadata']).toEqual(written.json['metadata']);
      if (random() < 0.3 && !(await attempt('DELETE', `${configMaps}/${name}`))) unknown++;
    }
  };
  const writers = Promise.all(Array.from({ length: 8 }, (_, id) => writer(id)));
  await eventually(() => acknowledged > 120 && watches[2]!.seen.length > 100);
  const victim = servers[2]!;
  alive = alive.filter(server => server !== victim);
  await victim.close();
  servers = alive;
  await writers;

  const final = await servers[0]!.call('GET', configMaps);
  const end = Number((final.json['metadata'] as { resourceVersion: string }).resourceVersion);
  // A last change that all watches will show.
  const last = await servers[1]!.call('POST', configMaps, { metadata: { name: 'the-end' } });
  expect(last.code).toBe(201);
  const [first, second, third] = watches.map(({ seen }) => seen) as [Seen[], Seen[], Seen[]];
  for (const seen of [first, second]) await eventually(() => seen.at(-1)?.name === 'the-end' || undefined);
  watches.forEach(({ stop }) => stop());
  expect(second).toEqual(first);
  expect(third).toEqual(first.slice(0, third.length));
  expect(third.length).toBeGreaterThan(100);
  expect(first.map(({ revision }) => revision)).toEqual(
    [...new Set(first.map(({ revision }) => revision))].sort((a, b) => a - b),
  );
  for (const { type, name, data, revision } of first) {
    if (revision > end) continue;
    expect(type).toBe(type === 'DELETED' ? type : state.has(name) ? 'MODIFIED' : 'ADDED');
    if (type === 'DELETED') expect(state.delete(name)).toBe(true);
    else state.set(name, data);
  }
  const items = final.json['items'] as { metadata: { name: string }; data: unknown }[];
  expect(new Map([...state].sort())).toEqual(new Map(items.map(o => [o.metadata.name, o.data] as const).sort()));
});
