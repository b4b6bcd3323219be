import { endpointSlices, namespaces, pods, services, type EndpointSlice, type Service } from '@naru/api';
import { eventually, MemoryObjects } from '@naru/testing';
import { rcodes, types } from '../wire/codes';
import { nameOf, readPlainName, toText } from '../wire/name';
import type { Answer, ResourceRecord } from '../wire/answer';
import { followCluster, type ClusterData } from './cluster-data';
import { Zone, type PodRecords } from './zone';

const stop = new AbortController();
afterAll(() => stop.abort());

async function zoneOf(api: MemoryObjects, podRecords: PodRecords = 'insecure'): Promise<Zone> {
  const factory = api.informers();
  const data: ClusterData = followCluster(factory, { withPods: podRecords === 'verified' });
  await factory.start(stop.signal);
  return new Zone({ data, domain: 'cluster.local', ttl: 30, podRecords });
}

function service(name: string, spec: Service['spec'], namespace = 'shop'): Service {
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace }, spec: spec ?? {} };
}

function slice(name: string, of: string, rest: Partial<EndpointSlice>): EndpointSlice {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name, namespace: 'shop', labels: { 'kubernetes.io/service-name': of } },
    addressType: 'IPv4',
    endpoints: [],
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    ...rest,
  };
}

function shop(): MemoryObjects {
  const api = new MemoryObjects();
  for (const name of ['shop', 'kube-system'])
    api.seed(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  const http = [{ name: 'http', port: 80, protocol: 'TCP' }];
  api.seed(services, service('kube-dns', { clusterIP: '10.96.0.10', clusterIPs: ['10.96.0.10'] }, 'kube-system'));
  api.seed(services, service('web', { clusterIP: '10.96.1.1', clusterIPs: ['10.96.1.1', 'fd00::1:1'], ports: http }));
  api.seed(services, service('db', { clusterIP: 'None', clusterIPs: ['None'], ports: http }));
  api.seed(services, service('early', { clusterIP: 'None', clusterIPs: ['None'], publishNotReadyAddresses: true }));
  api.seed(services, service('empty', { clusterIP: 'None', clusterIPs: ['None'], ports: http }));
  api.seed(services, service('plain', { clusterIP: '10.96.1.2', clusterIPs: ['10.96.1.2'], ports: [{ port: 80 }] }));
  api.seed(services, service('pair', { clusterIP: 'None', clusterIPs: ['None'] }));
  api.seed(services, service('outside', { type: 'ExternalName', externalName: 'Example.COM' }));
  api.seed(services, service('number', { type: 'ExternalName', externalName: '1.2.3.4' }));
  api.seed(
    endpointSlices,
    slice('db-1', 'db', {
      endpoints: [
        { addresses: ['10.244.1.5'], hostname: 'db-0', conditions: { ready: true } },
        { addresses: ['10.244.2.6'], hostname: 'db-1' },
        { addresses: ['10.244.2.7'], hostname: 'db-2', conditions: { ready: false } },
        { addresses: ['10.244.2.8'] },
      ],
    }),
  );
  api.seed(
    endpointSlices,
    slice('db-2', 'db', { addressType: 'IPv6', endpoints: [{ addresses: ['fd00:0::5'], hostname: 'db-0' }] }),
  );
  api.seed(
    endpointSlices,
    slice('pair-1', 'pair', {
      endpoints: [{ addresses: ['10.244.4.1'], hostname: 'left' }, { addresses: ['10.244.4.2'] }],
      ports: [
        { name: 'http', port: 8080, protocol: 'TCP' },
        { name: 'dns', port: 53, protocol: 'UDP' },
      ],
    }),
  );
  api.seed(
    endpointSlices,
    slice('early-1', 'early', { endpoints: [{ addresses: ['10.244.3.3'], conditions: { ready: false } }] }),
  );
  api.seed(
    endpointSlices,
    slice('web-1', 'web', { endpoints: [{ addresses: ['10.244.1.5'] }, { addresses: ['10.244.9.9'] }] }),
  );
  return api;
}

/** Records as zone files write them, without TTL and class. */
function show({ name, type, data }: ResourceRecord): string {
  const target = (at: number): string => toText(readPlainName(data, at) as string);
  const shown: Record<number, () => string> = {
    [types.A]: () => `A ${[...data].join('.')}`,
    [types.AAAA]: () => `AAAA ${data.toString('hex').replace(/(.{4})(?!$)/g, '$1:')}`,
    [types.CNAME]: () => `CNAME ${target(0)}`,
    [types.PTR]: () => `PTR ${target(0)}`,
    [types.NS]: () => `NS ${target(0)}`,
    [types.SRV]: () => `SRV ${data.readUInt16BE(0)} ${data.readUInt16BE(2)} ${data.readUInt16BE(4)} ${target(6)}`,
    [types.TXT]: () => `TXT ${data.subarray(1).toString()}`,
    [types.SOA]: () => `SOA ${target(0)}`,
  };
  return `${toText(name)} ${shown[type]?.() ?? type}`;
}

function ask(zone: Zone, name: string, type: number): Answer | undefined {
  return zone.lookup(nameOf(name) as string, type);
}

function answers(zone: Zone, name: string, type: number): string[] {
  return (ask(zone, name, type)?.answers ?? []).map(show);
}

let zone: Zone;
beforeAll(async () => (zone = await zoneOf(shop())));

test('a service with cluster IPs has an A and an AAAA record', () => {
  expect(answers(zone, 'web.shop.svc.cluster.local', types.A)).toEqual(['web.shop.svc.cluster.local. A 10.96.1.1']);
  expect(answers(zone, 'web.shop.svc.cluster.local', types.AAAA)).toEqual([
    'web.shop.svc.cluster.local. AAAA fd00:0000:0000:0000:0000:0000:0001:0001',
  ]);
});

test('a headless service has the addresses of its ready endpoints', () => {
  expect(answers(zone, 'db.shop.svc.cluster.local', types.A)).toEqual([
    'db.shop.svc.cluster.local. A 10.244.1.5',
    'db.shop.svc.cluster.local. A 10.244.2.6',
    'db.shop.svc.cluster.local. A 10.244.2.8',
  ]);
  expect(answers(zone, 'db.shop.svc.cluster.local', types.AAAA)).toHaveLength(1);
});

test('a headless service that publishes addresses which are not ready has them', () => {
  expect(answers(zone, 'early.shop.svc.cluster.local', types.A)).toEqual([
    'early.shop.svc.cluster.local. A 10.244.3.3',
  ]);
});

test('endpoints have names by their host name or their address', () => {
  expect(answers(zone, 'db-0.db.shop.svc.cluster.local', types.A)).toEqual([
    'db-0.db.shop.svc.cluster.local. A 10.244.1.5',
  ]);
  expect(answers(zone, '10-244-2-8.db.shop.svc.cluster.local', types.A)).toHaveLength(1);
  expect(ask(zone, 'db-2.db.shop.svc.cluster.local', types.A)?.rcode).toBe(rcodes.NXDOMAIN);
});

test('SRV records of a service name its port and bring its address along', () => {
  const found = ask(zone, '_http._tcp.web.shop.svc.cluster.local', types.SRV);
  expect(found?.answers.map(show)).toEqual([
    '_http._tcp.web.shop.svc.cluster.local. SRV 0 50 80 web.shop.svc.cluster.local.',
  ]);
  expect(found?.additional.map(show)[0]).toBe('web.shop.svc.cluster.local. A 10.96.1.1');
  expect(ask(zone, '_http._udp.web.shop.svc.cluster.local', types.SRV)?.rcode).toBe(rcodes.NXDOMAIN);
  expect(ask(zone, '_tcp.web.shop.svc.cluster.local', types.SRV)).toMatchObject({ rcode: rcodes.NOERROR, answers: [] });
});

test('SRV records of a headless service name each endpoint', () => {
  const found = ask(zone, '_http._tcp.db.shop.svc.cluster.local', types.SRV);
  expect(found?.answers.map(show)).toContain(
    '_http._tcp.db.shop.svc.cluster.local. SRV 0 25 8080 db-1.db.shop.svc.cluster.local.',
  );
  expect(found?.additional.map(show)).toContain('db-1.db.shop.svc.cluster.local. A 10.244.2.6');
});

test('each named port of each endpoint has an SRV record, and a port without a name has none', () => {
  const records = (name: string): string[] => answers(zone, name, types.SRV).map(text => text.replace(/^\S+ /, ''));
  const pair = 'pair.shop.svc.cluster.local';
  const [left, right] = [`left.${pair}.`, `10-244-4-2.${pair}.`];
  expect(records(`_http._tcp.${pair}`)).toEqual([`SRV 0 50 8080 ${left}`, `SRV 0 50 8080 ${right}`]);
  expect(records(`_dns._udp.${pair}`)).toEqual([`SRV 0 50 53 ${left}`, `SRV 0 50 53 ${right}`]);
  expect(records(pair)).toHaveLength(4);
  expect(ask(zone, `_http._udp.${pair}`, types.SRV)?.rcode).toBe(rcodes.NXDOMAIN);
  expect(ask(zone, '_http._tcp.plain.shop.svc.cluster.local', types.SRV)?.rcode).toBe(rcodes.NXDOMAIN);
});

test.each([
  '*.shop.svc.cluster.local',
  '*.db.shop.svc.cluster.local',
  '_*._tcp.web.shop.svc.cluster.local',
  'web.*.svc.cluster.local',
])('%s is a name like others and finds nothing: there are no patterns', name => {
  for (const type of [types.A, types.SRV]) expect(ask(zone, name, type)?.rcode).toBe(rcodes.NXDOMAIN);
});

test('an ExternalName service is an alias, unless it names an address', () => {
  expect(answers(zone, 'outside.shop.svc.cluster.local', types.A)).toEqual([
    'outside.shop.svc.cluster.local. CNAME example.com.',
  ]);
  expect(ask(zone, 'number.shop.svc.cluster.local', types.A)?.rcode).toBe(rcodes.NXDOMAIN);
});

test('addresses have names: of services first, then of headless endpoints, then of others', () => {
  expect(answers(zone, '1.1.96.10.in-addr.arpa', types.PTR)).toEqual([
    '1.1.96.10.in-addr.arpa. PTR web.shop.svc.cluster.local.',
  ]);
  expect(answers(zone, '5.1.244.10.in-addr.arpa', types.PTR)).toEqual([
    '5.1.244.10.in-addr.arpa. PTR db-0.db.shop.svc.cluster.local.',
  ]);
  expect(answers(zone, '9.9.244.10.in-addr.arpa', types.PTR)).toEqual([
    '9.9.244.10.in-addr.arpa. PTR 10-244-9-9.web.shop.svc.cluster.local.',
  ]);
  const v6 = `5.${'0.'.repeat(27)}0.0.d.f.ip6.arpa`;
  expect(answers(zone, v6, types.PTR)).toEqual([`${v6}. PTR db-0.db.shop.svc.cluster.local.`]);
  expect(ask(zone, '1.0.0.127.in-addr.arpa', types.PTR)).toBeUndefined();
  expect(ask(zone, 'example.com', types.A)).toBeUndefined();
});

test('the name of a pod address has that address, in a namespace that exists', () => {
  expect(answers(zone, '10-244-7-7.shop.pod.cluster.local', types.A)).toEqual([
    '10-244-7-7.shop.pod.cluster.local. A 10.244.7.7',
  ]);
  expect(answers(zone, 'fd00--7.shop.pod.cluster.local', types.AAAA)).toHaveLength(1);
  expect(ask(zone, '10-244-7-7.nowhere.pod.cluster.local', types.A)?.rcode).toBe(rcodes.NXDOMAIN);
  expect(ask(zone, '10-244-7-777.shop.pod.cluster.local', types.A)?.rcode).toBe(rcodes.NXDOMAIN);
});

test('with verification only addresses of pods of the namespace have names', async () => {
  const api = shop();
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'a', namespace: 'shop' },
    status: { podIPs: [{ ip: '10.244.7.7' }] },
  };
  api.seed(pods, pod);
  const verified = await zoneOf(api, 'verified');
  expect(answers(verified, '10-244-7-7.shop.pod.cluster.local', types.A)).toHaveLength(1);
  expect(ask(verified, '10-244-7-7.kube-system.pod.cluster.local', types.A)?.rcode).toBe(rcodes.NXDOMAIN);
  expect(ask(verified, '10-244-7-8.shop.pod.cluster.local', types.A)?.rcode).toBe(rcodes.NXDOMAIN);
});

test('the zone says who serves it and which schema it follows', () => {
  expect(answers(zone, 'dns-version.cluster.local', types.TXT)).toEqual(['dns-version.cluster.local. TXT 1.1.0']);
  expect(answers(zone, 'cluster.local', types.NS)).toEqual(['cluster.local. NS ns.dns.cluster.local.']);
  expect(answers(zone, 'cluster.local', types.SOA)).toEqual(['cluster.local. SOA ns.dns.cluster.local.']);
  expect(answers(zone, 'ns.dns.cluster.local', types.A)).toEqual(['ns.dns.cluster.local. A 10.96.0.10']);
});

test.each([
  ['svc.cluster.local', rcodes.NOERROR],
  ['shop.svc.cluster.local', rcodes.NOERROR],
  ['pod.cluster.local', rcodes.NOERROR],
  ['nowhere.svc.cluster.local', rcodes.NXDOMAIN],
  ['nothing.shop.svc.cluster.local', rcodes.NXDOMAIN],
  ['a.b.c.web.shop.svc.cluster.local', rcodes.NXDOMAIN],
  ['empty.shop.svc.cluster.local', rcodes.NXDOMAIN],
  ['other.cluster.local', rcodes.NXDOMAIN],
])('%s has no address: code %i with the start of authority', (name, rcode) => {
  const found = ask(zone, name, types.A);
  expect(found).toMatchObject({ rcode, answers: [], authoritative: true });
  expect(found?.authority.map(show)).toEqual(['cluster.local. SOA ns.dns.cluster.local.']);
  expect(found?.authority[0]?.ttl).toBe(30);
});

test('a change of the cluster changes the answers and the version', async () => {
  const api = shop();
  const changing = await zoneOf(api);
  const before = changing.version;
  await api.create(
    services,
    service('new', { clusterIP: '10.96.5.5', clusterIPs: ['10.96.5.5'], ports: [{ port: 1 }] }),
  );
  await eventually(() => expect(answers(changing, 'new.shop.svc.cluster.local', types.A)).toHaveLength(1));
  expect(changing.version).toBeGreaterThan(before);
  await api.delete(services, { namespace: 'shop', name: 'new' });
  await eventually(() => expect(ask(changing, 'new.shop.svc.cluster.local', types.A)?.rcode).toBe(rcodes.NXDOMAIN));
});

test('before the first lists are there, a name of the cluster is not denied', async () => {
  const factory = shop().informers();
  const data = followCluster(factory, { withPods: false });
  const early = new Zone({ data, domain: 'cluster.local', ttl: 30, podRecords: 'insecure' });
  expect(ask(early, 'web.shop.svc.cluster.local', types.A)).toMatchObject({ rcode: rcodes.SERVFAIL });
  expect(ask(early, 'example.com', types.A)).toBeUndefined();
  await factory.start(stop.signal);
  expect(answers(early, 'web.shop.svc.cluster.local', types.A)).toHaveLength(1);
});
