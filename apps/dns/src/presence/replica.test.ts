import { endpointSlices, leases, services, type EndpointSlice, type Service } from '@naru/api';
import { StatusError, silentLogger, systemClock, type Clock } from '@naru/foundation';
import { eventually, MemoryObjects } from '@naru/testing';
import { followCluster } from '../zone/cluster-data';
import { DnsService, desiredService } from './dns-service';
import { Replica } from './replica';

const stop = new AbortController();
afterAll(() => stop.abort());

let time = 1_000_000;
const clock: Clock = { ...systemClock, now: () => time };

async function replica(
  api: MemoryObjects,
  name: string,
  dnsPort: number,
  { addresses = ['10.95.0.1'], clusterIps = ['10.96.0.10'] } = {},
): Promise<Replica> {
  const factory = api.informers();
  const data = followCluster(factory, { withPods: false });
  await factory.start(stop.signal);
  const service = new DnsService({
    client: api,
    services: data.services,
    logger: silentLogger,
    clusterIps,
  });
  const options = { name, addresses, dnsPort, metricsPort: 9153 };
  return new Replica({ client: api, slices: data.slices, service, clock, logger: silentLogger, options });
}

async function slices(api: MemoryObjects): Promise<EndpointSlice[]> {
  return (await api.list<EndpointSlice>(endpointSlices)).items;
}

const names = async (api: MemoryObjects): Promise<string[]> =>
  (await slices(api)).map(({ metadata }) => metadata?.name as string).sort();

test('the first replica creates the Service, and each its own slice and lease', async () => {
  const api = new MemoryObjects();
  const [first, second] = [await replica(api, 'dns', 53), await replica(api, 'dns-2', 54)];
  await first.reconcile();
  await second.reconcile();
  const service = await api.get<Service>(services, { namespace: 'kube-system', name: 'kube-dns' });
  expect(service.spec).toMatchObject({ clusterIP: '10.96.0.10' });
  expect(service.spec?.selector).toBeUndefined();
  expect(await names(api)).toEqual(['kube-dns-dns', 'kube-dns-dns-2']);
  expect((await slices(api)).map(({ ports }) => ports?.map(({ port }) => port))).toEqual([
    [53, 53, 9153],
    [54, 54, 9153],
  ]);
  expect((await api.list(leases)).items).toHaveLength(2);
});

test('a replica with an address of each family has a slice of each, and both go with it', async () => {
  const api = new MemoryObjects();
  const both = { addresses: ['10.95.0.1', 'fd00:95::1'], clusterIps: ['10.96.0.10', 'fd00:96::a'] };
  const [first, second] = [await replica(api, 'dns', 53, both), await replica(api, 'dns-2', 54, both)];
  await first.reconcile();
  await second.reconcile();
  const service = await api.get<Service>(services, { namespace: 'kube-system', name: 'kube-dns' });
  expect(service.spec).toMatchObject({ clusterIPs: both.clusterIps, ipFamilyPolicy: 'RequireDualStack' });
  const told = (await slices(api)).map(({ addressType, endpoints }) => [addressType, endpoints?.[0]?.addresses]);
  expect(told.sort()).toEqual([
    ['IPv4', ['10.95.0.1']],
    ['IPv4', ['10.95.0.1']],
    ['IPv6', ['fd00:95::1']],
    ['IPv6', ['fd00:95::1']],
  ]);
  await second.leave();
  expect(await names(api)).toEqual(['kube-dns-dns', 'kube-dns-dns-ipv6']);
});

test('a steady replica writes its lease and nothing else', async () => {
  const api = new MemoryObjects();
  const one = await replica(api, 'dns', 53);
  await one.reconcile();
  await eventually(async () => {
    api.writes.length = 0;
    await one.reconcile();
    expect(api.writes.map(({ verb, resource }) => `${verb} ${resource}`)).toEqual(['patch leases']);
  });
});

test('the endpoint of a replica that is gone is removed, that of one that renews is not', async () => {
  const api = new MemoryObjects();
  const [first, second] = [await replica(api, 'dns', 53), await replica(api, 'dns-2', 54)];
  await second.reconcile();
  for (let i = 0; i < 5; i++) {
    await first.reconcile();
    time += 3_000;
  }
  await eventually(async () => {
    await first.reconcile();
    expect(await names(api)).toEqual(['kube-dns-dns']);
  });
  await second.reconcile();
  expect(await names(api)).toEqual(['kube-dns-dns', 'kube-dns-dns-2']);
});

test('after the api-server was away nobody is thought dead for not having renewed', async () => {
  const api = new MemoryObjects();
  const [first, second] = [await replica(api, 'dns', 53), await replica(api, 'dns-2', 54)];
  await first.reconcile();
  await second.reconcile();
  await first.reconcile();
  time += 60_000;
  await first.reconcile();
  expect(await names(api)).toHaveLength(2);
});

test('a slice without a lease is left over and removed', async () => {
  const api = new MemoryObjects();
  const [first, second] = [await replica(api, 'dns', 53), await replica(api, 'dns-2', 54)];
  await second.reconcile();
  await api.delete(leases, { namespace: 'kube-system', name: 'kube-dns-dns-2' });
  await eventually(async () => {
    await first.reconcile();
    expect(await names(api)).toEqual(['kube-dns-dns']);
  });
});

test('a slice that says something else is set right', async () => {
  const api = new MemoryObjects();
  await (await replica(api, 'dns', 53)).reconcile();
  await (await replica(api, 'dns', 5353)).reconcile();
  expect((await slices(api)).map(({ ports }) => ports?.[0]?.port)).toEqual([5353]);
});

test('an orderly stop takes slice and lease away', async () => {
  const api = new MemoryObjects();
  const one = await replica(api, 'dns', 53);
  await one.reconcile();
  await one.leave();
  expect(await slices(api)).toEqual([]);
  expect((await api.list(leases)).items).toEqual([]);
});

test('behind a Service that selects pods we do not stand', async () => {
  const api = new MemoryObjects();
  const one = await replica(api, 'dns', 53);
  const own = desiredService(['10.96.0.10']);
  api.seed(services, { ...own, spec: { ...own.spec, selector: { 'k8s-app': 'kube-dns' } } });
  await eventually(async () => {
    await one.reconcile();
    expect(await slices(api)).toEqual([]);
  });
});

test('a failure of the api-server is survived', async () => {
  const api = new MemoryObjects();
  const one = await replica(api, 'dns', 53);
  api.failNext(new StatusError('ServiceUnavailable', 'away'));
  const running = new AbortController();
  const done = one.run(running.signal);
  await eventually(async () => expect(await names(api)).toEqual(['kube-dns-dns']));
  running.abort();
  await done;
});
