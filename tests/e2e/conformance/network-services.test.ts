import type { Service, ServiceCIDR } from '@naru/api';
import { eventually } from '@naru/testing';
import { api, patienceMs, type Known } from './api';
import { Network } from './network';

// What upstream's tests do with Services, with packets: the pods are shared, the Services are each test's own.
let network: Network;
const app = { app: 'serves' };
let servers: string[] = [];
const http = { name: 'http', port: 80, targetPort: 8080 };
const path = (name: string): string => `${network.namespace}/services/${name}`;

/** An address for a Service, and a node port, from those that nobody is given who does not ask for them. */
async function reserved(number: number): Promise<{ clusterIP: string; nodePort: number }> {
  const { spec } = await api.get<Service>('/api/v1/namespaces/default/services/kubernetes');
  return { clusterIP: spec!.clusterIP!.replace(/\d+$/, String(100 + number)), nodePort: 30100 + number };
}

beforeAll(async () => {
  network = await Network.create('network-services');
  servers = network.workers.map((_, index) => `server-${index}`);
  await Promise.all(
    servers.map((name, index) => network.pod(name, {}, { nodeName: network.workers[index]!.name }, app)),
  );
});
afterAll(() => network.end());

test.concurrent.each([
  ['client', 'http', 8080],
  ['client', 'udp', 8081],
  ['node-client', 'http', 8080],
  ['node-client', 'udp', 8081],
] as const)('from a %s, pods of every node answer by %s', async (from, protocol, port) => {
  for (const name of servers) {
    const { status } = await network.pods.until(name, () => true);
    await network.answeredBy([name], status?.podIP ?? '', port, protocol, from);
  }
});

test.concurrent('a node port answers by name, by the cluster address and on every node', async () => {
  await network.reaches(
    await network.service('node-port', { type: 'NodePort', selector: app, ports: [http] }),
    servers,
  );
});

test.concurrent.each(['ClusterIP', 'NodePort'] as const)('an ExternalName becomes a %s, and is reached', async type => {
  const name = `external-to-${type.toLowerCase()}`;
  const created = await network.service(name, { type: 'ExternalName', externalName: 'foo.example.com' });
  expect(created.spec?.clusterIP).toBeUndefined();
  const changed = await network.changeService(name, spec => {
    delete spec.externalName;
    Object.assign(spec, { type, selector: app, ports: [http] });
  });
  expect(changed.spec?.clusterIP).toMatch(/^10\./);
  if (type === 'NodePort') expect(changed.spec?.ports?.[0]?.nodePort).toBeGreaterThan(0);
  await network.reaches(changed, servers);
});

test.concurrent.each([
  ['ClusterIP', 0],
  ['NodePort', 1],
] as const)('a %s becomes an ExternalName, and is another name', async (type, number) => {
  const [name, other] = [`${type.toLowerCase()}-to-external`, `other-than-${type.toLowerCase()}`];
  await network.service(other, { selector: app, ports: [http] });
  // Its own: others would be given what it has left at any moment.
  const { clusterIP, nodePort } = await reserved(number);
  const asked = { type, selector: app, clusterIP, ports: [type === 'NodePort' ? { ...http, nodePort } : http] };
  const created = await network.service(name, asked);
  await network.reaches(created, servers);
  const externalName = `${other}.${network.name}.svc.cluster.local`;
  const changed = await network.changeService(name, spec => {
    for (const field of ['clusterIP', 'clusterIPs', 'ports'] as const) delete spec[field];
    Object.assign(spec, { type: 'ExternalName', externalName });
  });
  expect(changed.spec?.clusterIP).toBeUndefined();
  await eventually(
    async () =>
      expect(await network.lookup(`${name}.${network.name}.svc.cluster.local`)).toContain(
        `canonical name = ${externalName}`,
      ),
    patienceMs,
    200,
  );
  await network.answeredBy(servers, name, 80);
  // What it had is free.
  await eventually(() => network.service(`after-${name}`, asked), patienceMs, 200);
});

test.concurrent.each(['ClusterIP', 'NodePort'] as const)(
  'session affinity of a %s keeps a client where it is, until it is switched off, and again',
  async type => {
    const name = `affinity-${type.toLowerCase()}`;
    const { spec } = await network.service(name, { type, sessionAffinity: 'ClientIP', selector: app, ports: [http] });
    const [host, port] =
      type === 'NodePort' ? [network.workers[0]!.ip, spec?.ports?.[0]?.nodePort ?? 0] : [spec?.clusterIP ?? '', 80];
    const sticks = (): Promise<void> =>
      eventually(
        async () => {
          const answers = await network.ask('client', host, port, 'http', 15);
          expect(new Set(answers).size).toBe(1);
          expect(servers).toContain(answers[0]);
        },
        patienceMs,
        200,
      );
    await sticks();
    await network.changeService(name, changed => (changed.sessionAffinity = 'None'));
    await network.answeredBy(servers, host, port);
    await network.changeService(name, changed => (changed.sessionAffinity = 'ClientIP'));
    await sticks();
  },
);

test.concurrent('one port of two protocols serves those that it has', async () => {
  const [tcp, udp] = [
    { name: 'tcp', port: 80, targetPort: 8080, protocol: 'TCP' },
    { name: 'udp', port: 80, targetPort: 8081, protocol: 'UDP' },
  ];
  const { spec } = await network.service('protocols', { selector: app, ports: [tcp, udp] });
  const host = spec?.clusterIP ?? '';
  await network.answeredBy(servers, host, 80);
  await network.answeredBy(servers, host, 80, 'udp');
  await network.changeService('protocols', changed => (changed.ports = [tcp]));
  await network.refuses(host, 80, 'udp');
  await network.answeredBy(servers, host, 80);
  await network.changeService('protocols', changed => (changed.ports = [udp]));
  await network.refuses(host, 80);
  await network.answeredBy(servers, host, 80, 'udp');
});

test.concurrent('Services of another ServiceCIDR are given addresses of it and reached at them', async () => {
  const cidrs = '/apis/networking.k8s.io/v1/servicecidrs';
  await api.create<ServiceCIDR>(cidrs, { metadata: { name: 'conformance' }, spec: { cidrs: ['203.0.113.0/24'] } });
  try {
    await eventually(async () => {
      const { status } = await api.get<ServiceCIDR>(`${cidrs}/conformance`);
      expect(status?.conditions).toContainEqual(expect.objectContaining({ type: 'Ready', status: 'True' }));
    }, patienceMs);
    const spec = { type: 'NodePort', clusterIP: '203.0.113.10', selector: app, ports: [http] };
    const service = await eventually(() => network.service('other-cidr', spec), patienceMs, 200);
    expect(service.spec?.clusterIP).toBe('203.0.113.10');
    await network.reaches(service, servers);
    await api.remove(path('other-cidr'));
  } finally {
    await api.remove(`${cidrs}/conformance`);
  }
  await eventually(
    () => expect(api.get(`${cidrs}/conformance`)).rejects.toMatchObject({ reason: 'NotFound' }),
    patienceMs,
    200,
  );
});

test.concurrent('host ports of one number are served by three pods, by address and protocol', async () => {
  const [{ name: nodeName, ip } = { name: '', ip: '' }] = network.workers;
  const port = { containerPort: 8080, hostPort: 54333 };
  const pods = [
    ['host-port-local', { ...port, hostIP: '127.0.0.1' }],
    ['host-port-node', { ...port, hostIP: ip }],
    ['host-port-udp', { ...port, containerPort: 8081, hostIP: ip, protocol: 'UDP' }],
  ] as const;
  const nodeSelector = { 'kubernetes.io/hostname': nodeName };
  await Promise.all(pods.map(([name, hostPort]) => network.pod(name, { ports: [hostPort] }, { nodeSelector })));
  await network.answeredBy(['host-port-local'], '127.0.0.1', 54333, 'http', 'node-client');
  await network.answeredBy(['host-port-node'], ip, 54333, 'http', 'node-client');
  await network.answeredBy(['host-port-node'], ip, 54333);
  await network.answeredBy(['host-port-udp'], ip, 54333, 'udp', 'node-client');
});

test.concurrent('pods and Services answer every method through the proxies, with a path and without', async () => {
  await network.service('proxied', { selector: { proxied: 'yes' }, ports: [http] });
  await network.pod('proxied', {}, {}, { proxied: 'yes' });
  const said = async (method: string, url: string): Promise<{ code: number | undefined; text: string }> => {
    const response = await api.open(method, url);
    let text = '';
    for await (const chunk of response) text += String(chunk);
    return { code: response.statusCode, text };
  };
  for (const target of ['pods/proxied:8080', 'services/proxied:http']) {
    const base = `${network.namespace}/${target}/proxy`;
    await eventually(async () => expect((await said('GET', `${base}/`)).text).toBe('proxied'), patienceMs, 200);
    for (const method of ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT']) {
      const { code, text } = await said(method, `${base}/some/path/with/${method}`);
      expect(code).toBe(200);
      if (method !== 'HEAD') expect(JSON.parse(text)).toEqual({ method, path: `/some/path/with/${method}` });
      const without = await said(method, `${base}?method=${method}`);
      if (method === 'GET' || method === 'HEAD') expect(without.code).toBe(301);
      else expect(JSON.parse(without.text)).toMatchObject({ method });
    }
  }
});

test.concurrent('the status of a Service has a life of its own', async () => {
  const labels = { 'test-service-static': 'true' };
  await api.create<Service>(`${network.namespace}/services`, {
    metadata: { name: 'lived', labels },
    spec: { type: 'LoadBalancer', loadBalancerClass: 'example.com/none', ports: [{ name: 'http', port: 80 }] },
  });
  expect((await api.list<Service>('/api/v1/services?labelSelector=test-service-static%3Dtrue')).items).toHaveLength(1);
  expect((await api.get<Service>(`${path('lived')}/status`)).status).toEqual({ loadBalancer: {} });
  const ingress = [{ ip: '203.0.113.1', ipMode: 'VIP' }];
  const patched = await api.patch<Service>(
    `${path('lived')}/status`,
    {
      metadata: { annotations: { patchedstatus: 'true' } },
      status: { loadBalancer: { ingress: [{ ip: '203.0.113.1' }] } },
    },
    'merge',
  );
  expect([patched.metadata.annotations, patched.status?.loadBalancer?.ingress]).toEqual([
    { patchedstatus: 'true' },
    ingress,
  ]);
  const condition = {
    type: 'StatusUpdate',
    status: 'True',
    reason: 'E2E',
    message: 'Set from e2e test',
    lastTransitionTime: '2026-01-01T00:00:00Z',
  };
  const updated = await api.change<Service>(
    path('lived'),
    ({ status }) => (status!.conditions = [condition]),
    '/status',
  );
  expect(updated.status?.conditions).toEqual([condition]);
  await api.patch(path('lived'), { metadata: { labels: { 'test-service': 'patched' } } });
  expect((await api.get<Service>(path('lived'))).metadata.labels).toEqual({ ...labels, 'test-service': 'patched' });
  await api.remove(path('lived'));
  expect((await api.list<Service>(`/api/v1/services?labelSelector=test-service-static%3Dtrue`)).items).toEqual([]);
});

test.concurrent('Services are deleted by collections, and kubernetes is found among all', async () => {
  const made: [string, Record<string, string>][] = [
    ['e2e-svc-a', { 'e2e-test-service': 'yes' }],
    ['e2e-svc-b', { 'e2e-test-service': 'yes' }],
    ['e2e-svc-c', { 'e2e-test-service': 'no' }],
  ];
  const create = ([name, labels]: (typeof made)[number]): Promise<Known<Service>> =>
    api.create<Service>(`${network.namespace}/services`, { metadata: { name, labels }, spec: { ports: [http] } });
  await Promise.all(made.map(create));
  await api.remove(`${network.namespace}/services?labelSelector=e2e-test-service%3Dyes`);
  const left = await api.list<Service>(`${network.namespace}/services?labelSelector=e2e-test-service`);
  expect(left.items.map(({ metadata }) => metadata.name)).toEqual(['e2e-svc-c']);
  const all = await api.list<Service>('/api/v1/services');
  const kubernetes = all.items.find(
    ({ metadata }) => metadata.namespace === 'default' && metadata.name === 'kubernetes',
  );
  expect(kubernetes?.spec?.ports).toEqual([expect.objectContaining({ name: 'https', port: 443, protocol: 'TCP' })]);
});

test.concurrent('forty Services, four at a time, have their endpoints soon', async () => {
  const one = async (name: string): Promise<void> => {
    await network.service(name, { selector: app, ports: [http] });
    // The time that upstream gives to nine of ten.
    await eventually(
      async () => expect((await network.endpoints(name)).subsets?.[0]?.addresses).toHaveLength(servers.length),
      90_000,
      50,
    );
  };
  const runner = async (first: number): Promise<void> => {
    for (let index = first; index < 40; index += 4) await one(`soon-${index}`);
  };
  await Promise.all([0, 1, 2, 3].map(runner));
});
