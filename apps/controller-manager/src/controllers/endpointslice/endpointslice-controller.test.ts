import { endpointSlices, endpoints, nodes, pods, services, type Service } from '@naru/api';
import { MemoryObjects, eventually } from '@naru/testing';
import { makeNode, makePod, startControllers } from '../../fixtures';
import { convergenceSuite } from '../../simulation';
import { endpointsController } from '../endpoints/endpoints-controller';
import { endpointSliceController } from './endpointslice-controller';

const service = (spec: Partial<NonNullable<Service['spec']>> = {}): Service => ({
  metadata: { namespace: 'default', name: 'web' },
  spec: { clusterIP: '10.96.0.9', selector: { app: 'web' }, ports: [{ port: 80, targetPort: 'http' }], ...spec },
});
const pod = (name: string, ip: string, ready: boolean, port = 8080) =>
  makePod(name, {
    labels: { app: 'web' },
    nodeName: 'n1',
    ready,
    ip,
    spec: { containers: [{ name: 'main', ports: [{ name: 'http', containerPort: port }] }] },
  });

async function slicesOf(api: MemoryObjects) {
  return (await api.list(endpointSlices)).items.map(({ ports, endpoints }) => ({
    port: ports?.[0]?.port,
    endpoints: endpoints?.map(({ addresses, conditions }) => [addresses[0], conditions]),
  }));
}

test('ready pods stand behind their service, with node, zone and resolved port', async () => {
  const api = new MemoryObjects();
  api.seed(nodes, makeNode('n1', { metadata: { name: 'n1', labels: { 'topology.kubernetes.io/zone': 'z' } } }));
  api.seed(services, service());
  const cluster = await startControllers([endpointSliceController, endpointsController], { api });
  api.seed(pods, pod('a', '10.0.0.1', true));
  await eventually(async () => {
    const [slice] = (await api.list(endpointSlices)).items;
    expect(slice).toMatchObject({
      addressType: 'IPv4',
      metadata: {
        labels: {
          'kubernetes.io/service-name': 'web',
          'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
        },
      },
      ports: [{ name: '', port: 8080, protocol: 'TCP' }],
      endpoints: [{ addresses: ['10.0.0.1'], nodeName: 'n1', zone: 'z', targetRef: { kind: 'Pod', name: 'a' } }],
    });
    const legacy = await api.get(endpoints, { namespace: 'default', name: 'web' });
    expect(legacy.subsets).toEqual([
      { addresses: [expect.objectContaining({ ip: '10.0.0.1' })], ports: [{ port: 8080, protocol: 'TCP' }] },
    ]);
  });
  await cluster.stop();
});

test('a Service of two families has slices of each, and Endpoints of the first', async () => {
  const api = new MemoryObjects();
  api.seed(services, service({ ipFamilies: ['IPv6', 'IPv4'] }));
  const cluster = await startControllers([endpointSliceController, endpointsController], { api });
  const both = pod('a', '10.0.0.1', true);
  api.seed(pods, { ...both, status: { ...both.status, podIPs: [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }] } });
  api.seed(pods, pod('b', '10.0.0.2', true));
  const slices = async () =>
    (await api.list(endpointSlices)).items
      .map(({ addressType, endpoints: all }) => [addressType, all?.map(({ addresses }) => addresses[0]).sort()])
      .sort();
  await eventually(async () => {
    expect(await slices()).toEqual([
      ['IPv4', ['10.0.0.1', '10.0.0.2']],
      ['IPv6', ['fd00::1']],
    ]);
    const legacy = await api.get(endpoints, { namespace: 'default', name: 'web' });
    expect(legacy.subsets?.map(({ addresses }) => addresses?.map(({ ip }) => ip))).toEqual([['fd00::1']]);
  });
  const body = { spec: { ipFamilies: ['IPv6'] } };
  await api.patch(services, { namespace: 'default', name: 'web' }, { type: 'merge', body });
  await eventually(async () => expect(await slices()).toEqual([['IPv6', ['fd00::1']]]));
  await cluster.stop();
});

test('readiness, termination and pods of another port show in the slices', async () => {
  const api = new MemoryObjects();
  api.seed(services, service());
  const cluster = await startControllers([endpointSliceController], { api });
  api.seed(pods, pod('a', '10.0.0.1', false));
  await eventually(async () =>
    expect(await slicesOf(api)).toEqual([
      { port: 8080, endpoints: [['10.0.0.1', { ready: false, serving: false, terminating: false }]] },
    ]),
  );
  const conditions = [{ type: 'Ready', status: 'True' }];
  const key = { namespace: 'default', name: 'a' };
  await api.patch(pods, key, { type: 'strategic', body: { status: { conditions } } }, { subresource: 'status' });
  await api.delete(pods, key);
  await eventually(async () =>
    expect(await slicesOf(api)).toEqual([
      { port: 8080, endpoints: [['10.0.0.1', { ready: false, serving: true, terminating: true }]] },
    ]),
  );
  api.seed(pods, pod('b', '10.0.0.2', true, 9090));
  await eventually(async () => expect((await slicesOf(api)).map(({ port }) => port).sort()).toEqual([8080, 9090]));
  await cluster.stop();
});

test('a service without endpoints has one empty slice, before its first pod and after its last', async () => {
  const api = new MemoryObjects();
  api.seed(services, service());
  const cluster = await startControllers([endpointSliceController], { api });
  const empty = [{ port: undefined, endpoints: [] }];
  await eventually(async () => expect(await slicesOf(api)).toEqual(empty));
  api.seed(pods, pod('a', '10.0.0.1', true));
  await eventually(async () => expect(await slicesOf(api)).toMatchObject([{ port: 8080 }]));
  await api.delete(pods, { namespace: 'default', name: 'a' }, { gracePeriodSeconds: 0 });
  await eventually(async () => expect(await slicesOf(api)).toEqual(empty));
  await cluster.stop();
});

test('a status update that changes no endpoint writes nothing', async () => {
  const api = new MemoryObjects();
  api.seed(services, service());
  api.seed(pods, pod('a', '10.0.0.1', true));
  const cluster = await startControllers([endpointSliceController], { api });
  await eventually(async () => expect(await slicesOf(api)).toHaveLength(1));
  const key = { namespace: 'default', name: 'a' };
  await api.patch(pods, key, { type: 'merge', body: { status: { message: 'still fine' } } }, { subresource: 'status' });
  api.seed(pods, pod('b', '10.0.0.2', true));
  await eventually(async () => expect((await slicesOf(api))[0]?.endpoints).toHaveLength(2));
  expect(api.writes.filter(({ resource }) => resource === 'endpointslices')).toHaveLength(2);
  await cluster.stop();
});

test('publishNotReadyAddresses makes every address ready', async () => {
  const api = new MemoryObjects();
  api.seed(services, service({ publishNotReadyAddresses: true }));
  api.seed(pods, pod('a', '10.0.0.1', false));
  const cluster = await startControllers([endpointSliceController], { api });
  await eventually(async () =>
    expect((await slicesOf(api))[0]?.endpoints?.[0]?.[1]).toMatchObject({ ready: true, serving: false }),
  );
  await cluster.stop();
});

convergenceSuite([endpointSliceController, endpointsController], {
  objects(api) {
    api.seed(nodes, makeNode('n1'));
    api.seed(services, service());
    for (const at of [1, 2, 3]) api.seed(pods, pod(`p${at}`, `10.0.0.${at}`, true));
  },
  steps: [
    client => client.delete(pods, { namespace: 'default', name: 'p1' }, { gracePeriodSeconds: 0 }),
    client => client.create(pods, pod('p4', '10.0.0.4', true)),
    client =>
      client.patch(
        services,
        { namespace: 'default', name: 'web' },
        { type: 'merge', body: { metadata: { labels: { a: 'b' } } } },
      ),
  ],
  async expectEnd(api) {
    const wanted = ['10.0.0.2', '10.0.0.3', '10.0.0.4'];
    const slices = (await api.list(endpointSlices)).items;
    expect(slices.flatMap(slice => (slice.endpoints ?? []).flatMap(({ addresses }) => addresses)).sort()).toEqual(
      wanted,
    );
    for (const { metadata } of slices) expect(metadata.labels).toMatchObject({ a: 'b' });
    const legacy = await api.get(endpoints, { namespace: 'default', name: 'web' });
    expect(legacy.subsets?.flatMap(({ addresses = [] }) => addresses.map(({ ip }) => ip)).sort()).toEqual(wanted);
  },
});
