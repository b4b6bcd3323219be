import { silentLogger, systemClock } from '@naru/foundation';
import { eventually, within } from '@naru/testing';
import { rcodes, types } from '../wire/codes';
import { nameOf } from '../wire/name';
import { fakeUpstream, type FakeUpstream } from '../testing/fake-upstream';
import { AnswerCache } from './answer-cache';
import { Forwarder } from './forwarder';
import type { Question } from './question';
import { parseServer, parseStubDomains, serversOf } from './server-address';
import { Upstream } from './upstream';
import { UpstreamGroup } from './upstream-group';

const stop = new AbortController();
const opened: FakeUpstream[] = [];
afterAll(async () => {
  stop.abort();
  for (const upstream of opened) await upstream.close();
});

let time = 0;

async function open(script: FakeUpstream['script']): Promise<FakeUpstream> {
  const upstream = await fakeUpstream(script);
  opened.push(upstream);
  return upstream;
}

function forwarder(...servers: FakeUpstream[]): { forwarder: Forwarder; upstreams: Upstream[] } {
  const upstreams = servers.map(
    ({ address }) =>
      new Upstream({ server: parseServer(address), clock: systemClock, logger: silentLogger, signal: stop.signal }),
  );
  const cache = new AnswerCache({ maxEntries: 100, maxBytes: 1e6 });
  const group = new UpstreamGroup({ upstreams, now: () => performance.now(), observe: () => undefined });
  const deps = { upstreams: group, stubDomains: new Map(), cache, maxTtl: 30, maxConcurrent: 10, now: () => time };
  return { forwarder: new Forwarder({ ...deps, logger: silentLogger }), upstreams };
}

const question = (name: string): Question => ({
  name: nameOf(name) as string,
  type: types.A,
  dnssecOk: false,
  checkingDisabled: false,
});

const address = ({ name }: { name: string }) => ({ answers: [{ name, type: 'A', ttl: 300, data: '192.0.2.1' }] });

test('a server that does not want to answer is passed over for one that does', async () => {
  const [bad, good] = [await open(() => ({ flags: 2 })), await open(address)];
  const { forwarder: tested } = forwarder(bad, good);
  for (let i = 0; i < 5; i++) expect((await tested.lookup(question(`n${i}.test`))).answer.rcode).toBe(rcodes.NOERROR);
  const { forwarder: hopeless } = forwarder(bad);
  expect((await hopeless.lookup(question('n.test'))).answer.rcode).toBe(rcodes.SERVFAIL);
});

test('a server that hangs is left alone until it answers a probe', async () => {
  const hanging = await open(() => undefined);
  const good = await open(address);
  const { forwarder: tested, upstreams } = forwarder(hanging, good);
  await eventually(async () => {
    await tested.lookup(question(`h${Math.random()}.test`));
    expect(upstreams[0]?.healthy).toBe(false);
  });
  await within(1_000, async () => {
    for (let i = 0; i < 10; i++) await tested.lookup(question(`q${Math.random()}.test`));
  });
  hanging.script = address;
  await eventually(() => expect(upstreams[0]?.healthy).toBe(true));
});

test('a name in use is asked for again before its time is over', async () => {
  const upstream = await open(address);
  const { forwarder: tested } = forwarder(upstream);
  time = 0;
  await tested.lookup(question('hot.test'));
  for (let i = 0; i < 20; i++) await tested.lookup(question('hot.test'));
  time = 28_000;
  expect(await tested.lookup(question('hot.test'))).toMatchObject({ cached: true, age: 28 });
  await eventually(async () => expect(await tested.lookup(question('hot.test'))).toMatchObject({ age: 0 }));
  expect(upstream.asked.filter(name => name === 'hot.test')).toHaveLength(2);
  expect(tested.prefetched).toBe(1);
});

test('an answer that must not be kept is not', async () => {
  const upstream = await open(({ name }) => ({ answers: [{ name, type: 'A', ttl: 0, data: '192.0.2.1' }] }));
  const { forwarder: tested } = forwarder(upstream);
  await tested.lookup(question('now.test'));
  await tested.lookup(question('now.test'));
  expect(upstream.asked).toHaveLength(2);
});

test('servers are read from flags and from resolv.conf', () => {
  expect(parseServer('10.0.0.1')).toEqual({ host: '10.0.0.1', port: 53 });
  expect(parseServer('[fd00::1]:5353')).toEqual({ host: 'fd00::1', port: 5353 });
  expect(parseServer('fd00::1')).toEqual({ host: 'fd00::1', port: 53 });
  expect(() => parseServer('dns.example.com')).toThrow('expected an IP address');
  expect(serversOf('# nameserver 1.1.1.1\nnameserver 10.0.0.2\nnameserver nonsense\nsearch x\n')).toEqual([
    { host: '10.0.0.2', port: 53 },
  ]);
  const stubs = parseStubDomains(['Corp.Test=10.0.0.1', 'corp.test.=10.0.0.2:5353']);
  expect([...stubs.values()]).toEqual([
    [
      { host: '10.0.0.1', port: 53 },
      { host: '10.0.0.2', port: 5353 },
    ],
  ]);
  expect(() => parseStubDomains(['corp.test'])).toThrow('Cannot parse server');
});
