import { eventually, startTestServer, type TestServer } from '../testing/test-server';

const group = '/apis/networking.k8s.io/v1';
const services = '/api/v1/namespaces/default/services';

describe('the addresses of Services', () => {
  let api: TestServer;
  beforeAll(async () => {
    api = await startTestServer();
  });
  afterAll(() => api.close());

  const parentOf = async (address: string): Promise<unknown> =>
    (await api.call('GET', `${group}/ipaddresses/${address}`)).json.spec?.parentRef;

  const setReady = (name: string, status: string) => {
    const condition = { type: 'Ready', status, reason: '', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' };
    const headers = { 'content-type': 'application/merge-patch+json' };
    const body = { status: { conditions: [condition] } };
    return api.call('PATCH', `${group}/servicecidrs/${name}/status`, body, { headers });
  };

  test('are of one range', async () => {
    const { json } = await api.call('GET', `${group}/servicecidrs/kubernetes`);
    expect(json).toMatchObject({
      spec: { cidrs: ['10.96.0.0/16'] },
      status: { conditions: [{ type: 'Ready', status: 'True' }] },
    });
  });

  test('are objects that come, change hands and go with the Services', async () => {
    expect(await eventually(() => parentOf('10.96.0.1'))).toEqual({
      group: '',
      resource: 'services',
      namespace: 'default',
      name: 'kubernetes',
    });
    const spec = { clusterIP: '10.96.7.7', ports: [{ port: 80 }] };
    await api.call('POST', services, { metadata: { name: 'one' }, spec });
    await eventually(async () => ((await parentOf('10.96.7.7')) as { name?: string } | undefined)?.name === 'one');
    const { json } = await api.call('GET', `${group}/ipaddresses/10.96.7.7`);
    expect(json.metadata.labels).toEqual({
      'ipaddress.kubernetes.io/ip-family': 'IPv4',
      'ipaddress.kubernetes.io/managed-by': 'ipallocator.k8s.io',
    });
    await api.call('DELETE', `${services}/one`);
    await api.call('POST', services, { metadata: { name: 'two' }, spec });
    await eventually(async () => ((await parentOf('10.96.7.7')) as { name?: string } | undefined)?.name === 'two');
    await api.call('DELETE', `${services}/two`);
    await eventually(async () => (await parentOf('10.96.7.7')) === undefined);
  });

  test('are none of a headless Service', async () => {
    const spec = { clusterIP: 'None', ports: [{ port: 80 }] };
    await api.call('POST', services, { metadata: { name: 'headless' }, spec });
    await api.call('POST', services, { metadata: { name: 'last' }, spec: { ...spec, clusterIP: '10.96.7.8' } });
    await eventually(() => parentOf('10.96.7.8'));
    const { items } = (await api.call('GET', `${group}/ipaddresses`)).json as {
      items: { spec: { parentRef: { name: string } } }[];
    };
    expect(items.map(item => item.spec.parentRef.name).sort()).toEqual(['kubernetes', 'last']);
  });

  test('are also of a ServiceCIDR that a user made, as long as it is ready', async () => {
    const metadata = { name: 'more' };
    await api.call('POST', `${group}/servicecidrs`, { metadata, spec: { cidrs: ['10.50.0.0/28'] } });
    const make = (name: string) =>
      api.call('POST', services, { metadata: { name }, spec: { clusterIP: '10.50.0.9', ports: [{ port: 80 }] } });
    const refused = await make('early');
    expect(refused.code).toBe(422);
    expect(refused.json.message).toContain('The range of valid IPs is 10.96.0.0/16');
    await setReady('more', 'True');
    expect((await make('in-time')).code).toBe(201);
    expect(await eventually(() => parentOf('10.50.0.9'))).toMatchObject({ name: 'in-time' });
    await api.call('DELETE', `${services}/in-time`);
    await setReady('more', 'False');
    expect((await make('late')).code).toBe(422);
  });

  test('are each of one Service where ServiceCIDRs overlap, and stay to be had while one of those is ready', async () => {
    const ready = async (name: string, cidr: string): Promise<void> => {
      await api.call('POST', `${group}/servicecidrs`, { metadata: { name }, spec: { cidrs: [cidr] } });
      await setReady(name, 'True');
    };
    // The one in the other, and both together in the cluster's own or not.
    await ready('inner', '10.60.0.8/29');
    await ready('outer', '10.60.0.0/28');
    await ready('in-own', '10.96.8.0/28');
    const make = async (name: string, clusterIP: string) =>
      (await api.call('POST', services, { metadata: { name }, spec: { clusterIP, ports: [{ port: 80 }] } })).json;
    expect(await make('first', '10.60.0.9')).toMatchObject({ kind: 'Service' });
    expect((await make('second', '10.60.0.9')).message).toContain('provided IP is already allocated');
    expect(await make('third', '10.96.8.9')).toMatchObject({ kind: 'Service' });
    expect((await make('fourth', '10.96.8.9')).message).toContain('provided IP is already allocated');
    await setReady('inner', 'False');
    expect(await make('fifth', '10.60.0.10')).toMatchObject({ kind: 'Service' });
    await setReady('outer', 'False');
    expect((await make('sixth', '10.60.0.11')).message).toContain('is not in the valid range');
    // What was given stays given.
    expect(await parentOf('10.60.0.9')).toMatchObject({ name: 'first' });
  });
});
