import { decode, type Packet } from 'dns-packet';
import { endpointSlices, namespaces, services } from '@naru/api';
import { createMetrics, silentLogger } from '@naru/foundation';
import { eventually, freePort, MemoryObjects, within } from '@naru/testing';
import { startDnsServer, type DnsServer, type ServerFlags } from './dns-server';
import { ask, frame, query, sendTcp, sendUdp } from './testing/ask';
import { fakeUpstream, type FakeUpstream } from './testing/fake-upstream';
import { followCluster } from './zone/cluster-data';

const stop = new AbortController();
const registry = createMetrics();
let upstream: FakeUpstream;
let stub: FakeUpstream;
let server: DnsServer;
let port: number;

const address = (name: string, data: string, ttl = 300): Packet => ({
  answers: [{ name, type: 'A', ttl, data }],
});
const large = Array.from({ length: 100 }, (_, i) => `10.244.9.${i + 1}`);

const names: Record<string, (by: 'udp' | 'tcp') => Packet | undefined> = {
  'web.shop.svc.cluster.local': () => address('web.shop.svc.cluster.local', '192.0.2.5'),
  'www.example.com': () => address('www.example.com', '192.0.2.1'),
  'silent.example.com': () => undefined,
  'mute.example.com': () => undefined,
  'none.example.com': () => ({
    flags: 3,
    authorities: [
      {
        name: 'example.com',
        type: 'SOA',
        ttl: 20,
        data: {
          mname: 'a.example.com',
          rname: 'b.example.com',
          serial: 1,
          refresh: 1,
          retry: 1,
          expire: 1,
          minimum: 10,
        },
      },
    ],
  }),
  // TC: the rest comes by TCP only.
  'big.example.com': by => (by === 'udp' ? { flags: 0x200 } : address('big.example.com', '192.0.2.9')),
  'alias.example.com': () => ({
    answers: [
      { name: 'alias.example.com', type: 'CNAME', ttl: 60, data: 'www.example.com' },
      { name: 'www.example.com', type: 'A', ttl: 60, data: '192.0.2.1' },
    ],
  }),
};

async function start(flags: Partial<ServerFlags> = {}, isFirst = false): Promise<DnsServer> {
  const api = new MemoryObjects();
  api.seed(namespaces, { metadata: { name: 'shop' } });
  const service = (name: string, spec: object): void =>
    void api.seed(services, { metadata: { name, namespace: 'shop' }, spec });
  service('web', { clusterIP: '10.96.1.1', clusterIPs: ['10.96.1.1'], ports: [{ port: 80 }] });
  service('db', { clusterIP: 'None', clusterIPs: ['None'], ports: [{ port: 80 }] });
  service('outside', { type: 'ExternalName', externalName: 'alias.example.com' });
  service('inside', { type: 'ExternalName', externalName: 'web.shop.svc.cluster.local' });
  service('chain', { type: 'ExternalName', externalName: 'Inside.shop.svc.cluster.local.' });
  service('dangling', { type: 'ExternalName', externalName: 'none.example.com' });
  service('round', { type: 'ExternalName', externalName: 'round.shop.svc.cluster.local' });
  service('broken', { type: 'ExternalName', externalName: 'mute.example.com' });
  api.seed(endpointSlices, {
    metadata: { name: 'db', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'db' } },
    addressType: 'IPv4',
    endpoints: large.map(ip => ({ addresses: [ip] })),
    ports: [{ port: 80 }],
  });
  const informers = api.informers();
  const data = followCluster(informers, { withPods: false });
  await informers.start(stop.signal);
  return startDnsServer({
    data,
    registry: isFirst ? registry : createMetrics(),
    logger: silentLogger,
    signal: stop.signal,
    flags: {
      // One that the kernel chose for UDP may be taken for TCP.
      listen: [`127.0.0.1:${await freePort()}`],
      'cluster-domain': 'cluster.local',
      pods: 'insecure',
      ttl: 30,
      upstream: [upstream.address],
      'resolv-conf': '/nonexistent',
      'stub-domain': [`corp.test=${stub.address}`],
      'cache-entries': 100,
      'cache-ttl': 30,
      'max-concurrent': 50,
      ...flags,
    },
  });
}

beforeAll(async () => {
  upstream = await fakeUpstream(({ name }, by) => names[name]?.(by));
  stub = await fakeUpstream(({ name }) => address(name, '192.0.2.77'));
  server = await start({}, true);
  port = server.listening[0]?.port as number;
});

afterAll(async () => {
  stop.abort();
  await server.close();
  await upstream.close();
  await stub.close();
});

test('a question keeps its case, its id and its flags in the answer', async () => {
  const reply = await ask(port, 'WeB.Shop.SVC.cluster.LOCAL', 'A', { id: 99 });
  expect(reply).toMatchObject({ id: 99, rcode: 'NOERROR', flag_aa: true, flag_ra: true, flag_rd: true });
  expect(reply.questions?.[0]?.name).toBe('WeB.Shop.SVC.cluster.LOCAL');
  expect(reply.answers).toMatchObject([{ type: 'A', data: '10.96.1.1', ttl: 30 }]);
});

test('a name that is not there and a type that is not there differ, and both bring the SOA', async () => {
  const missing = await ask(port, 'nothing.shop.svc.cluster.local');
  expect(missing).toMatchObject({ rcode: 'NXDOMAIN', answers: [] });
  expect(missing.authorities).toMatchObject([{ name: 'cluster.local', type: 'SOA', data: { minimum: 30 } }]);
  const other = await ask(port, 'web.shop.svc.cluster.local', 'AAAA');
  expect(other).toMatchObject({ rcode: 'NOERROR', answers: [] });
  expect(other.authorities).toHaveLength(1);
});

test('an answer that does not fit is cut at a record and marked, and is whole by TCP', async () => {
  const name = 'db.shop.svc.cluster.local';
  const plain = await sendUdp(port, query(name, 'A'));
  expect(plain.length).toBeLessThanOrEqual(512);
  expect(decode(plain)).toMatchObject({ flag_tc: true });
  const fewer = decode(plain).answers?.length ?? 0;
  expect(fewer).toBeGreaterThan(10);
  const edns = await sendUdp(port, query(name, 'A', { udpSize: 4096 }));
  expect(edns.length).toBeLessThanOrEqual(1232);
  expect(decode(edns).answers?.length).toBeGreaterThan(fewer);
  expect(decode(edns).additionals).toMatchObject([{ type: 'OPT', udpPayloadSize: 1232 }]);
  const [whole] = await sendTcp(port, frame(query(name, 'A')), 1);
  const data = (decode(whole as Buffer).answers ?? []).map(record => String(record.data));
  expect(decode(whole as Buffer).flag_tc).toBe(false);
  expect(data.sort()).toEqual([...large].sort());
});

test.each([
  [100, 512],
  [800, 800],
  [65_535, 1232],
])('a client that says it takes %i bytes by UDP is sent up to %i', async (udpSize, limit) => {
  const reply = await sendUdp(port, query('db.shop.svc.cluster.local', 'A', { udpSize }));
  expect(reply.length).toBeLessThanOrEqual(limit);
  // Another record of 16 bytes would not have fitted.
  expect(reply.length).toBeGreaterThan(limit - 16);
  expect(decode(reply)).toMatchObject({ flag_tc: true, additionals: [{ type: 'OPT' }] });
});

test('several addresses take turns at being first', async () => {
  const first = async (): Promise<unknown> => (await ask(port, 'db.shop.svc.cluster.local')).answers?.[0]?.data;
  expect(new Set([await first(), await first(), await first()]).size).toBe(3);
});

test('questions follow each other on one TCP connection, also in pieces', async () => {
  const questions = [
    frame(query('web.shop.svc.cluster.local', 'A', { id: 1 })),
    frame(query('www.example.com', 'A', { id: 2 })),
    frame(query('nothing.cluster.local', 'A', { id: 3 })),
  ];
  const replies = (await sendTcp(port, Buffer.concat(questions), 3)).map(message => decode(message));
  expect(replies.map(({ id }) => id).sort()).toEqual([1, 2, 3]);
});

test('a question that waits does not hold up the one behind it on its connection', async () => {
  const questions = [
    frame(query('silent.example.com', 'A', { id: 1 })),
    frame(query('web.shop.svc.cluster.local', 'A', { id: 2 })),
  ];
  const replies = (await sendTcp(port, Buffer.concat(questions), 2)).map(message => decode(message));
  expect(replies.map(({ id, rcode }) => [id, rcode])).toEqual([
    [2, 'NOERROR'],
    [1, 'SERVFAIL'],
  ]);
});

const timesAsked = (name: string): number => upstream.asked.filter(asked => asked.toLowerCase() === name).length;

test('other names are asked of the upstream once and then come from the cache, older', async () => {
  const before = timesAsked('alias.example.com');
  const [first, second] = await Promise.all([ask(port, 'alias.example.com'), ask(port, 'ALIAS.example.com')]);
  expect(first.answers).toMatchObject([{ type: 'CNAME' }, { type: 'A', data: '192.0.2.1', ttl: 30 }]);
  expect(second.answers).toHaveLength(2);
  expect(first.flag_aa).toBe(false);
  await ask(port, 'alias.example.com');
  expect(timesAsked('alias.example.com') - before).toBe(1);
});

test('"no such name" of an upstream is kept too', async () => {
  // For ten seconds: this process may be held up for as long.
  await eventually(async () => {
    expect(await ask(port, 'none.example.com')).toMatchObject({ rcode: 'NXDOMAIN' });
    const before = timesAsked('none.example.com');
    const reply = await ask(port, 'none.example.com');
    expect(reply.authorities?.[0]?.type).toBe('SOA');
    expect(timesAsked('none.example.com')).toBe(before);
  });
});

test('an answer that an upstream cuts short is fetched by TCP', async () => {
  expect((await ask(port, 'big.example.com')).answers).toMatchObject([{ data: '192.0.2.9' }]);
});

test('a stub domain has servers of its own', async () => {
  expect((await ask(port, 'host.corp.test')).answers).toMatchObject([{ data: '192.0.2.77' }]);
  expect(upstream.asked).not.toContain('host.corp.test');
});

test('an ExternalName is followed to its addresses, inside and outside', async () => {
  const inside = await ask(port, 'inside.shop.svc.cluster.local');
  expect(inside.answers).toMatchObject([
    { type: 'CNAME', data: 'web.shop.svc.cluster.local' },
    { type: 'A', data: '10.96.1.1' },
  ]);
  const outside = await ask(port, 'outside.shop.svc.cluster.local');
  expect(outside.answers?.map(({ name, type }) => [name, type])).toEqual([
    ['outside.shop.svc.cluster.local', 'CNAME'],
    ['alias.example.com', 'CNAME'],
    ['www.example.com', 'A'],
  ]);
  const alias = await ask(port, 'outside.shop.svc.cluster.local', 'CNAME');
  expect(alias.answers).toHaveLength(1);
});

test('a chain of aliases is told whole, to an address, to no data or to a name that is not there', async () => {
  const chain = await ask(port, 'chain.shop.svc.cluster.local');
  expect(chain.rcode).toBe('NOERROR');
  expect(chain.answers).toMatchObject([
    { type: 'CNAME', data: 'inside.shop.svc.cluster.local' },
    { type: 'CNAME', data: 'web.shop.svc.cluster.local' },
    { type: 'A', data: '10.96.1.1' },
  ]);
  const noData = await ask(port, 'chain.shop.svc.cluster.local', 'AAAA');
  expect(noData).toMatchObject({ rcode: 'NOERROR', answers: [{ type: 'CNAME' }, { type: 'CNAME' }] });
  expect(noData.authorities).toMatchObject([{ type: 'SOA', name: 'cluster.local' }]);
  const dangling = await ask(port, 'dangling.shop.svc.cluster.local');
  expect(dangling).toMatchObject({ rcode: 'NXDOMAIN', answers: [{ type: 'CNAME', data: 'none.example.com' }] });
  expect(dangling.authorities).toMatchObject([{ type: 'SOA', name: 'example.com' }]);
});

test('an alias that leads to itself ends in a failure', async () => {
  expect(await ask(port, 'round.shop.svc.cluster.local')).toMatchObject({ rcode: 'SERVFAIL' });
});

test('an upstream that hangs delays its own names only', async () => {
  const order: string[] = [];
  const told = async (name: string): Promise<Packet> => {
    const reply = await ask(port, name);
    order.push(name);
    return reply;
  };
  const hanging = told('mute.example.com');
  await told('web.shop.svc.cluster.local');
  expect(await hanging).toMatchObject({ rcode: 'SERVFAIL' });
  expect(order).toEqual(['web.shop.svc.cluster.local', 'mute.example.com']);
  // A failure is remembered for a few seconds.
  await eventually(async () => {
    expect(await ask(port, 'mute.example.com')).toMatchObject({ rcode: 'SERVFAIL' });
    const before = timesAsked('mute.example.com');
    expect(await ask(port, 'broken.shop.svc.cluster.local')).toMatchObject({ rcode: 'SERVFAIL' });
    expect(timesAsked('mute.example.com')).toBe(before);
  });
});

test('more questions on their way than allowed are refused', async () => {
  const small = await start({ 'max-concurrent': 1 });
  const at = small.listening[0]?.port as number;
  // Both are on their way at one time, unless this process is held up between them for as long as the first one waits.
  await eventually(async () => {
    const replies = await Promise.all(['x', 'y'].map(name => ask(at, `${name}${Math.random()}.example.com`)));
    expect(replies.map(({ rcode }) => rcode).sort()).toEqual(['REFUSED', 'SERVFAIL']);
  });
  await small.close();
});

test('a cluster of another domain has its names there, and cluster.local is no name of its', async () => {
  const other = await start({ 'cluster-domain': 'Lab.Example' });
  const at = other.listening[0]?.port as number;
  const reply = await ask(at, 'web.shop.svc.lab.example');
  expect(reply).toMatchObject({ rcode: 'NOERROR', flag_aa: true, answers: [{ type: 'A', data: '10.96.1.1' }] });
  const missing = await ask(at, 'nothing.shop.svc.lab.example');
  expect(missing).toMatchObject({ rcode: 'NXDOMAIN', authorities: [{ name: 'lab.example', type: 'SOA' }] });
  const foreign = await ask(at, 'web.shop.svc.cluster.local');
  expect(foreign).toMatchObject({ flag_aa: false, answers: [{ data: '192.0.2.5' }] });
  expect(upstream.asked).toContain('web.shop.svc.cluster.local');
  await other.close();
});

test('without any upstream other names fail at once', async () => {
  const alone = await start({ upstream: [] });
  const answer = await within(1_000, () => ask(alone.listening[0]?.port as number, 'www.example.com'));
  expect(answer).toMatchObject({ rcode: 'SERVFAIL' });
  await alone.close();
});

test.each(['ANY', 'AXFR', 'IXFR'])('%s is refused', async type => {
  expect(await ask(port, 'cluster.local', type)).toMatchObject({ rcode: 'REFUSED' });
});

test('what is not a query of ours gets a code or nothing', async () => {
  const good = query('web.shop.svc.cluster.local', 'A');
  const changed = (at: number, value: number): Buffer => {
    const packet = Buffer.from(good);
    packet[at] = value;
    return packet;
  };
  expect(decode(await sendUdp(port, changed(2, 0x20)))).toMatchObject({ rcode: 'NOTIMP' });
  expect(decode(await sendUdp(port, changed(5, 2)))).toMatchObject({ rcode: 'FORMERR' });
  expect(decode(await sendUdp(port, changed(12, 0xc0)))).toMatchObject({ rcode: 'FORMERR' });
  expect(decode(await sendUdp(port, good.subarray(0, 20)))).toMatchObject({ rcode: 'FORMERR' });
  // A reply would make two servers talk to each other for ever.
  await expect(sendUdp(port, changed(2, 0x81), 200)).rejects.toThrow('no answer');
  await expect(sendUdp(port, good.subarray(0, 8), 200)).rejects.toThrow('no answer');
});

test('an unknown version of EDNS is told so', async () => {
  const packet = query('web.shop.svc.cluster.local', 'A', { udpSize: 1232 });
  packet[packet.length - 5] = 1;
  const reply = decode(await sendUdp(port, packet));
  expect(reply.additionals).toMatchObject([{ type: 'OPT', extendedRcode: 1 }]);
});

test('metrics have the names of CoreDNS', async () => {
  const text = await registry.metrics();
  const pattern = (name: string): RegExp => new RegExp(`^${name}\\{[^}]*\\} [1-9]`, 'm');
  for (const name of [
    'coredns_dns_requests_total',
    'coredns_cache_hits_total',
    'coredns_dns_request_duration_seconds_count',
  ])
    expect(text).toMatch(pattern(name));
  expect(text).toMatch(
    /coredns_dns_responses_total\{server="dns:\/\/:\d+",zone="\.",view="",rcode="NXDOMAIN",plugin="kubernetes"\}/,
  );
  expect(text).toMatch(
    /coredns_proxy_request_duration_seconds_count\{proxy_name="forward",to="127.0.0.1:\d+",rcode="NOERROR"\}/,
  );
});
