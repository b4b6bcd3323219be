import type { Endpoints, EndpointSlice, Service } from '@naru/api';
import { eventually } from '@naru/testing';
import { api, exec, patienceMs, type Known } from './api';
import { Network } from './network';

// What upstream's tests say of endpoints, their slices and names: what is told of pods, and where packets go.
let network: Network;
let slicesPath: string;

beforeAll(async () => {
  network = await Network.create('network-endpoints');
  slicesPath = network.namespace.replace('/api/v1', '/apis/discovery.k8s.io/v1') + '/endpointslices';
});
afterAll(() => network.end());

/** Endpoints as "ADDRESS:PORT ...", sorted. */
function told({ subsets = [] }: Endpoints): string[] {
  return subsets
    .flatMap(({ addresses = [], ports = [] }) =>
      addresses.flatMap(({ ip }) => ports.map(({ port }) => `${ip}:${port}`)),
    )
    .sort();
}
function toldBySlices(slices: EndpointSlice[]): string[] {
  return slices
    .flatMap(({ endpoints = [], ports = [] }) =>
      (endpoints ?? []).flatMap(({ addresses }) =>
        addresses.flatMap(ip => (ports ?? []).map(({ port }) => `${ip}:${port}`)),
      ),
    )
    .sort();
}
/** Both kinds say that these are the endpoints. */
const tell = (service: string, expected: string[]): Promise<void> =>
  eventually(
    async () => {
      expect(told(await network.endpoints(service))).toEqual([...expected].sort());
      expect(toldBySlices(await network.slices(service))).toEqual([...expected].sort());
    },
    patienceMs,
    100,
  );
const slicesOf = (service: string, count: number): Promise<Known<EndpointSlice>[]> =>
  eventually(
    async () => {
      const slices = await network.slices(service);
      expect(slices).toHaveLength(count);
      return slices;
    },
    patienceMs,
    100,
  );
const serve = (name: string, port: number, labels: Record<string, string>) =>
  network.pod(name, { args: ['--http', String(port)], ports: [{ name: 'served', containerPort: port }] }, {}, labels);

test.concurrent('endpoints and traffic follow the pods of a Service as they come and go', async () => {
  const labels = { group: 'basic' };
  const { spec } = await network.service('basic', { selector: labels, ports: [{ port: 80, targetPort: 80 }] });
  await tell('basic', []);
  const first = await serve('basic-1', 80, labels);
  await tell('basic', [`${first.status?.podIP}:80`]);
  await network.answeredBy(['basic-1'], spec?.clusterIP ?? '', 80);
  const second = await serve('basic-2', 80, labels);
  await tell('basic', [`${first.status?.podIP}:80`, `${second.status?.podIP}:80`]);
  await network.answeredBy(['basic-1', 'basic-2'], spec?.clusterIP ?? '', 80);
  await network.deletePod('basic-1');
  await tell('basic', [`${second.status?.podIP}:80`]);
  await network.answeredBy(['basic-2'], spec?.clusterIP ?? '', 80);
  await network.deletePod('basic-2');
  await tell('basic', []);
});

test.concurrent('each port of a Service leads to the pods that have it', async () => {
  const labels = { group: 'multiport' };
  const ports = [
    { name: 'portname1', port: 80, targetPort: 'p1' },
    { name: 'portname2', port: 81, targetPort: 'p2' },
  ];
  const { spec } = await network.service('multiport', { selector: labels, ports });
  await tell('multiport', []);
  const pod = (name: string, port: number, portName: string) =>
    network.pod(name, { args: ['--http', String(port)], ports: [{ name: portName, containerPort: port }] }, {}, labels);
  const first = await pod('multiport-1', 100, 'p1');
  await tell('multiport', [`${first.status?.podIP}:100`]);
  const second = await pod('multiport-2', 101, 'p2');
  await tell('multiport', [`${first.status?.podIP}:100`, `${second.status?.podIP}:101`]);
  await network.answeredBy(['multiport-1'], spec?.clusterIP ?? '', 80);
  await network.answeredBy(['multiport-2'], spec?.clusterIP ?? '', 81);
  await network.deletePod('multiport-1');
  await tell('multiport', [`${second.status?.podIP}:101`]);
  await network.refuses(spec?.clusterIP ?? '', 80);
  await network.deletePod('multiport-2');
  await tell('multiport', []);
});

test.concurrent(
  'slices name pods by number and by name of their port, and come again when they are deleted',
  async () => {
    const on = 'on';
    const [pod1, pod2] = await Promise.all([
      serve('sliced-1', 3000, { pod1: on, shared12: on }),
      serve('sliced-2', 3001, { pod2: on, shared12: on }),
    ]);
    const service = (name: string, selector: Record<string, string>, targetPort: number | string) =>
      network.service(name, {
        selector,
        publishNotReadyAddresses: true,
        ports: [{ name: 'example', port: 80, targetPort }],
      });
    await service('by-number', { pod1: on }, 3000);
    await service('by-name', { shared12: on }, 'served');
    await service('no-match', { pod3: on }, 8080);
    const both = [`${pod1.status?.podIP}:3000`, `${pod2.status?.podIP}:3001`];
    await tell('by-number', both.slice(0, 1));
    await tell('by-name', both);
    await tell('no-match', []);
    // One that was made while nothing was known of the pods yet may stay for a moment.
    const slices = await slicesOf('by-name', 2);
    expect((await network.endpoints('by-name')).subsets).toHaveLength(2);
    await slicesOf('no-match', 1);
    for (const slice of slices) {
      expect(slice.metadata.labels).toMatchObject({
        'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
      });
      for (const { targetRef } of slice.endpoints ?? [])
        expect(targetRef).toMatchObject({ kind: 'Pod', namespace: network.name });
      await api.remove(`${slicesPath}/${slice.metadata.name}`);
    }
    await tell('by-name', both);
  },
);

test.concurrent(
  'a Service whose selector matches nothing has empty endpoints and one empty slice, which go with it',
  async () => {
    await network.service('matches-nothing', {
      selector: { matches: 'nothing' },
      ports: [{ name: 'example', port: 80 }],
    });
    await tell('matches-nothing', []);
    const [slice] = await slicesOf('matches-nothing', 1);
    expect(slice?.metadata.labels?.['endpointslice.kubernetes.io/managed-by']).toBe('endpointslice-controller.k8s.io');
    await api.remove(`${network.namespace}/services/matches-nothing`);
    await eventually(
      async () => {
        await expect(network.endpoints('matches-nothing')).rejects.toMatchObject({ reason: 'NotFound' });
        expect(await network.slices('matches-nothing')).toEqual([]);
      },
      patienceMs,
      100,
    );
  },
);

test.concurrent('endpoints and slices of default/kubernetes say the same', async () => {
  const found = await api.get<Endpoints>('/api/v1/namespaces/default/endpoints/kubernetes');
  const selector = 'labelSelector=kubernetes.io/service-name%3Dkubernetes';
  const slices = await api.list<EndpointSlice>(
    `/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?${selector}`,
  );
  expect(told(found).length).toBeGreaterThan(0);
  expect(toldBySlices(slices.items)).toEqual(told(found));
});

test.concurrent(
  'a Service without a selector is served by slices that somebody made, of one address or of several',
  async () => {
    const args = ['--http', '9090', '--http', '9091'];
    const [both, other] = await Promise.all([network.pod('manual-1', { args }), network.pod('manual-2', { args })]);
    const ports = [
      { name: 'one', port: 80 },
      { name: 'two', port: 81 },
    ];
    const slice = (
      service: string,
      name: string,
      { status }: typeof both,
      port: number,
    ): Promise<Known<EndpointSlice>> =>
      api.create<EndpointSlice>(slicesPath, {
        metadata: {
          name: `${service}-${name}`,
          labels: { 'kubernetes.io/service-name': service, 'endpointslice.kubernetes.io/managed-by': 'a-test' },
        },
        addressType: 'IPv4',
        endpoints: [{ addresses: [status?.podIP ?? ''] }],
        ports: [{ name, port, protocol: 'TCP' }],
      });
    for (const [service, second] of [
      ['one-address', both],
      ['two-addresses', other],
    ] as const) {
      const { spec } = await network.service(service, { ports });
      await slice(service, 'one', both, 9090);
      await slice(service, 'two', second, 9091);
      await network.answeredBy(['manual-1'], spec?.clusterIP ?? '', 80);
      await network.answeredBy([second.metadata.name], spec?.clusterIP ?? '', 81);
    }
  },
);

test.concurrent('Endpoints that somebody made are mirrored by slices, changed and deleted with them', async () => {
  const ports = [{ name: 'example', port: 80, protocol: 'TCP' }];
  await network.service('mirrored', { ports: [{ name: 'example', port: 80 }] });
  const path = `${network.namespace}/endpoints`;
  await api.create<Endpoints>(path, {
    metadata: { name: 'mirrored', labels: { 'test-endpoint-static': 'true' } },
    subsets: [{ ports, addresses: [{ ip: '10.1.2.3' }] }],
  });
  const mirrored = (expected: string[]): Promise<void> =>
    eventually(async () => expect(toldBySlices(await network.slices('mirrored'))).toEqual(expected), patienceMs, 100);
  await mirrored(['10.1.2.3:80']);
  const [slice] = await network.slices('mirrored');
  expect(slice?.metadata.labels?.['endpointslice.kubernetes.io/managed-by']).toBe(
    'endpointslicemirroring-controller.k8s.io',
  );
  await api.change<Endpoints>(
    `${path}/mirrored`,
    object => (object.subsets = [{ ports, addresses: [{ ip: '10.2.3.4' }] }]),
  );
  await mirrored(['10.2.3.4:80']);
  await api.patch(`${path}/mirrored`, { subsets: [{ ports, addresses: [{ ip: '10.0.0.24' }] }] });
  await mirrored(['10.0.0.24:80']);
  await api.remove(`${path}?labelSelector=test-endpoint-static%3Dtrue`);
  await expect(api.get(`${path}/mirrored`)).rejects.toMatchObject({ reason: 'NotFound' });
  await mirrored([]);
});

describe('names', () => {
  const zone = 'network-endpoints.svc.cluster.local';
  /** Each of the servers that are asked in turn knows it in its own time. */
  const found = (look: () => Promise<string>, expected: string): Promise<void> =>
    eventually(async () => expect(await look()).toContain(expected), patienceMs, 200);
  const resolves = (name: string, expected: string): Promise<void> => found(() => network.lookup(name), expected);

  test.concurrent('of the cluster are found from a pod', async () => {
    const { spec } = await api.get<Service>('/api/v1/namespaces/default/services/kubernetes');
    await resolves('kubernetes.default.svc.cluster.local', `Address: ${spec?.clusterIP}`);
    expect(await exec(`${network.namespace}/pods/client`, ['cat', '/etc/hosts'])).toMatch(/\tclient$/m);
  });

  test.concurrent('of a pod with a subdomain are in DNS and in its hosts file', async () => {
    await network.service('subdomain', {
      clusterIP: 'None',
      selector: { named: 'yes' },
      ports: [{ name: 'http', port: 80 }],
    });
    const { status } = await network.pod(
      'named',
      {},
      { hostname: 'querier', subdomain: 'subdomain' },
      { named: 'yes' },
    );
    await resolves(`querier.subdomain.${zone}`, `Address: ${status?.podIP}`);
    await resolves(`subdomain.${zone}`, `Address: ${status?.podIP}`);
    const own = (...command: string[]): Promise<string> => exec(`${network.namespace}/pods/named`, command);
    expect(await own('cat', '/etc/hosts')).toContain(`${status?.podIP}\tquerier.subdomain.${zone}\tquerier\n`);
    expect((await own('hostname', '-f')).trim()).toBe(`querier.subdomain.${zone}`);
  });

  test.concurrent('of an ExternalName change with it, and are addresses when it becomes a ClusterIP', async () => {
    const name = `external.${zone}`;
    for (const target of ['one', 'two']) await network.service(target, { ports: [{ port: 80 }] });
    const leadsTo = (target: string): Promise<void> => resolves(name, `${name}\tcanonical name = ${target}.${zone}`);
    await network.service('external', { type: 'ExternalName', externalName: `one.${zone}` });
    await leadsTo('one');
    await network.changeService('external', spec => (spec.externalName = `two.${zone}`));
    await leadsTo('two');
    const { spec } = await network.changeService('external', changed => {
      delete changed.externalName;
      Object.assign(changed, { type: 'ClusterIP', ports: [{ name: 'http', port: 80 }] });
    });
    await resolves(name, `Name:\t${name}\nAddress: ${spec?.clusterIP}`);
  });

  test.concurrent('are asked of the servers of the dnsConfig, with its search domains', async () => {
    const { spec } = await api.get<Service>('/api/v1/namespaces/kube-system/services/kube-dns');
    await network.service('searched', { ports: [{ port: 80 }] });
    const searched = await api.get<Service>(`${network.namespace}/services/searched`);
    await network.pod(
      'configured',
      {},
      {
        dnsPolicy: 'None',
        dnsConfig: { nameservers: [spec?.clusterIP ?? ''], searches: [zone], options: [{ name: 'ndots', value: '2' }] },
      },
    );
    const configured = `${network.namespace}/pods/configured`;
    expect((await exec(configured, ['cat', '/etc/resolv.conf'])).trim().split('\n').sort()).toEqual(
      [`nameserver ${spec?.clusterIP}`, 'options ndots:2', `search ${zone}`].sort(),
    );
    const look = (): Promise<string> => exec(configured, ['nslookup', '-type=A', 'searched']);
    await found(look, `Address: ${searched.spec?.clusterIP}`);
  });
});
