import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { LmdbDriver } from '@naru/store';
import { startTestServer, type Reply, type TestServer } from '../testing/test-server';

const services = '/api/v1/namespaces/default/services';
const v4Range = '10.96.0.0/16';
const v6Range = 'fd00:10:96::/112';
const nodePortRange = '30000-32767';
const ports = [{ port: 80 }];
const v4 = expect.stringMatching(/^10\.96\./) as string;
const v6 = expect.stringMatching(/^fd00:10:96::/) as string;

let api: TestServer;
const startCluster = (clusterIPRange: string): void => {
  beforeAll(async () => {
    api = await startTestServer({ services: { clusterIPRange, nodePortRange } });
  });
  afterAll(() => api.close());
};
const create = (name: string, spec: object): Promise<Reply> =>
  api.call('POST', services, { metadata: { name }, spec: { ports, ...spec } });
const merge = (name: string, spec: object, query = ''): Promise<Reply> =>
  api.call(
    'PATCH',
    `${services}/${name}${query}`,
    { spec },
    { headers: { 'content-type': 'application/merge-patch+json' } },
  );
const holders = async (): Promise<string[]> => {
  const { json } = await api.call('GET', '/apis/networking.k8s.io/v1/ipaddresses');
  return (json['items'] as { metadata: { name: string } }[]).map(({ metadata }) => metadata.name);
};

describe('in a cluster of IPv4 and IPv6, a Service', () => {
  startCluster(`${v4Range},${v6Range}`);

  test.each<[string, object, object]>([
    ['plain', {}, { clusterIPs: [v4], ipFamilies: ['IPv4'], ipFamilyPolicy: 'SingleStack' }],
    ['of-v6', { ipFamilies: ['IPv6'] }, { clusterIPs: [v6], ipFamilies: ['IPv6'], ipFamilyPolicy: 'SingleStack' }],
    ['prefers', { ipFamilyPolicy: 'PreferDualStack' }, { clusterIPs: [v4, v6], ipFamilies: ['IPv4', 'IPv6'] }],
    ['requires', { ipFamilyPolicy: 'RequireDualStack' }, { clusterIPs: [v4, v6], ipFamilies: ['IPv4', 'IPv6'] }],
    [
      'v6-first',
      { ipFamilyPolicy: 'RequireDualStack', ipFamilies: ['IPv6'] },
      { clusterIPs: [v6, v4], ipFamilies: ['IPv6', 'IPv4'] },
    ],
    [
      'with-address',
      { clusterIP: 'fd00:10:96::77' },
      { clusterIPs: ['fd00:10:96::77'], ipFamilies: ['IPv6'], ipFamilyPolicy: 'SingleStack' },
    ],
    [
      'with-both',
      { clusterIP: '10.96.0.77', clusterIPs: ['10.96.0.77', 'fd00:10:96::78'], ipFamilyPolicy: 'PreferDualStack' },
      { clusterIPs: ['10.96.0.77', 'fd00:10:96::78'], ipFamilies: ['IPv4', 'IPv6'] },
    ],
    [
      'headless',
      { clusterIP: 'None', selector: { a: 'b' } },
      { clusterIPs: ['None'], ipFamilies: ['IPv4'], ipFamilyPolicy: 'SingleStack' },
    ],
    [
      'headless-both',
      { clusterIP: 'None', selector: { a: 'b' }, ipFamilyPolicy: 'PreferDualStack' },
      { clusterIPs: ['None'], ipFamilies: ['IPv4', 'IPv6'] },
    ],
    [
      'bare',
      { clusterIP: 'None' },
      { clusterIPs: ['None'], ipFamilies: ['IPv4', 'IPv6'], ipFamilyPolicy: 'RequireDualStack' },
    ],
  ])('named %s gets the families that it asks for', async (name, spec, expected) => {
    const { code, json } = await create(name, spec);
    expect([code, json['message']]).toEqual([201, undefined]);
    expect(json['spec']).toMatchObject(expected);
    expect(json['spec'].clusterIP).toBe(json['spec'].clusterIPs[0]);
  });

  test.each<[object, string]>([
    [
      { clusterIP: '10.96.0.90', clusterIPs: ['10.96.0.90', 'fd00:10:96::90'] },
      `spec.ipFamilyPolicy: Invalid value: "SingleStack": must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster IPs are specified`,
    ],
    [
      { ipFamilies: ['IPv4', 'IPv6'] },
      `must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified`,
    ],
    [{ clusterIP: 'fd00:99::1' }, `The range of valid IPs is ${v6Range}`],
    [{ clusterIP: 'fd00:10:96:0::77' }, 'failed to allocate IP fd00:10:96:0::77: provided IP is already allocated'],
  ])('that asks for %j is told what is wrong', async (spec, message) => {
    const { code, json } = await create('wrong', spec);
    expect([code, json['message']]).toEqual([422, expect.stringContaining(message)]);
  });

  test('is given a second family and gives it up, and the address is free again', async () => {
    const before = (await create('changing', {})).json['spec'].clusterIP as string;
    const tried = await merge('changing', { ipFamilyPolicy: 'RequireDualStack' }, '?dryRun=All');
    expect(tried.json['spec'].clusterIPs).toEqual([before, v6]);
    expect(await holders()).not.toContain(tried.json['spec'].clusterIPs[1]);
    const both = (await merge('changing', { ipFamilyPolicy: 'RequireDualStack' })).json['spec'];
    expect(both).toMatchObject({ clusterIPs: [before, v6], ipFamilies: ['IPv4', 'IPv6'] });
    const second = both.clusterIPs[1] as string;
    expect(await holders()).toEqual(expect.arrayContaining([before, second]));
    const { json: kept } = await merge('changing', { clusterIPs: [before] });
    expect(kept['message']).toContain("must be 'SingleStack' to release the secondary cluster IP");
    const { json: moved } = await merge('changing', { clusterIPs: [before, 'fd00:10:96::99'] });
    expect(moved['message']).toContain('spec.clusterIPs[1]');
    expect(moved['message']).toContain('may not change once set');
    const single = (await merge('changing', { ipFamilyPolicy: 'SingleStack' })).json['spec'];
    expect(single).toMatchObject({ clusterIPs: [before], ipFamilies: ['IPv4'] });
    expect(await holders()).not.toContain(second);
    expect((await create('heir', { clusterIP: second })).code).toBe(201);
  });

  test('that becomes an ExternalName has no family, and gets one when it comes back', async () => {
    const { clusterIPs } = (await create('external', { ipFamilyPolicy: 'RequireDualStack' })).json['spec'];
    const away = await merge('external', { type: 'ExternalName', externalName: 'a.example' });
    expect(Object.keys(away.json['spec'] as object)).not.toEqual(
      expect.arrayContaining([expect.stringMatching(/^(cluster|ipFam)/)]),
    );
    expect(await holders()).not.toEqual(expect.arrayContaining([expect.stringMatching(clusterIPs[1] as string)]));
    const back = await merge('external', { type: 'ClusterIP', externalName: null });
    expect(back.json['spec']).toMatchObject({ clusterIPs: [v4], ipFamilies: ['IPv4'], ipFamilyPolicy: 'SingleStack' });
  });

  test('named kubernetes is of the first family, and the range has both', async () => {
    const { json } = await api.call('GET', `${services}/kubernetes`);
    expect(json['spec']).toMatchObject({ clusterIPs: ['10.96.0.1'], ipFamilies: ['IPv4'] });
    const range = await api.call('GET', '/apis/networking.k8s.io/v1/servicecidrs/kubernetes');
    expect(range.json['spec'].cidrs).toEqual([v4Range, v6Range]);
    const address = await api.call('GET', '/apis/networking.k8s.io/v1/ipaddresses/fd00:10:96::77');
    expect(address.json['metadata'].labels).toMatchObject({ 'ipaddress.kubernetes.io/ip-family': 'IPv6' });
  });
});

describe('in a cluster of IPv6 alone, a Service', () => {
  startCluster(v6Range);

  test.each<[string, object, object]>([
    ['plain', {}, { clusterIPs: [v6], ipFamilies: ['IPv6'], ipFamilyPolicy: 'SingleStack' }],
    ['prefers', { ipFamilyPolicy: 'PreferDualStack' }, { clusterIPs: [v6], ipFamilies: ['IPv6'] }],
    ['bare', { clusterIP: 'None' }, { ipFamilies: ['IPv6', 'IPv4'], ipFamilyPolicy: 'RequireDualStack' }],
  ])('named %s gets what there is', async (name, spec, expected) => {
    const { json } = await create(name, spec);
    expect(json['spec']).toMatchObject(expected);
  });

  test.each<[object, string]>([
    [{ ipFamilyPolicy: 'RequireDualStack' }, 'this cluster is not configured for dual-stack services'],
    [{ ipFamilies: ['IPv4'] }, 'spec.ipFamilies[0]: Invalid value: "IPv4": not configured on this cluster'],
    [{ clusterIP: '10.96.0.9' }, 'IPv4 is not configured on this cluster'],
  ])('that asks for %j is told that there is no IPv4', async (spec, message) => {
    const { code, json } = await create('wrong', spec);
    expect([code, json['message']]).toEqual([422, expect.stringContaining(message)]);
  });

  test('named kubernetes is the first of the range', async () => {
    const { json } = await api.call('GET', `${services}/kubernetes`);
    expect(json['spec']).toMatchObject({ clusterIPs: ['fd00:10:96::1'], ipFamilies: ['IPv6'] });
  });
});

test('a cluster that gets IPv6 later adds the range, and Services get addresses of it when somebody asks', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'naru-families-'));
  const start = async (clusterIPRange: string): Promise<void> => {
    const store = await LmdbDriver.open({ directory });
    api = await startTestServer({ store, services: { clusterIPRange, nodePortRange } });
  };
  await start(v4Range);
  const before = (await create('prefers', { ipFamilyPolicy: 'PreferDualStack' })).json['spec'];
  expect(before).toMatchObject({ clusterIPs: [v4], ipFamilies: ['IPv4'] });
  await api.close();
  await start(`${v4Range},${v6Range}`);
  const range = await api.call('GET', '/apis/networking.k8s.io/v1/servicecidrs/kubernetes');
  expect(range.json['spec'].cidrs).toEqual([v4Range, v6Range]);
  const touched = (await merge('prefers', { sessionAffinity: 'ClientIP' })).json['spec'];
  expect(touched.clusterIPs).toEqual(before.clusterIPs);
  const asked = (await merge('prefers', { ipFamilyPolicy: 'RequireDualStack' })).json['spec'];
  expect(asked.clusterIPs).toEqual([before.clusterIP, v6]);
  await api.close();
  rmSync(directory, { recursive: true });
});
