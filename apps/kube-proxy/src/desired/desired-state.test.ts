import type { EndpointSlice, Service } from '@naru/api';
import { DesiredState } from './desired-state';
import type { IpFamily } from './ip-family';
import type { PortChange, ServicePort } from './service-port';

type Endpoint = NonNullable<EndpointSlice['endpoints']>[number];

function service(name: string, spec: Partial<NonNullable<Service['spec']>> = {}, rest: Partial<Service> = {}): Service {
  return {
    metadata: { namespace: 'default', name },
    spec: { clusterIP: '10.96.0.1', ports: [{ name: 'http', port: 80, protocol: 'TCP' }], ...spec },
    ...rest,
  };
}

function endpoint(address: string, nodeName = 'b', conditions: Endpoint['conditions'] = { ready: true }): Endpoint {
  return { addresses: [address], nodeName, conditions };
}

function slice(serviceName: string, endpoints: Endpoint[], name = `${serviceName}-1`): EndpointSlice {
  return {
    metadata: { namespace: 'default', name, labels: { 'kubernetes.io/service-name': serviceName } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints,
  };
}

function state(...objects: (Service | EndpointSlice)[]): DesiredState {
  const desired = new DesiredState({ nodeName: 'a', family: 'IPv4' });
  for (const object of objects) {
    if ('endpoints' in object) desired.setSlice(object as EndpointSlice);
    else desired.setService(object as Service);
  }
  desired.takeChanges();
  return desired;
}

function only(desired: DesiredState): ServicePort {
  const ports = [...desired.ports()];
  expect(ports).toHaveLength(1);
  return ports[0]!;
}

function addresses(endpoints: readonly { address: string }[]): string[] {
  return endpoints.map(({ address }) => address).sort();
}

test('a port takes the ready endpoints of all slices of its Service, by the name of the port', () => {
  const desired = state(
    service('web', { type: 'NodePort', ports: [{ name: 'http', port: 80, nodePort: 30080 }] }),
    slice('web', [endpoint('10.0.0.1', 'a'), endpoint('10.0.0.2')]),
    slice('web', [endpoint('10.0.0.2'), endpoint('10.0.0.3', 'b', { ready: false })], 'web-2'),
    slice('other', [endpoint('10.0.0.9')]),
  );
  expect(only(desired)).toEqual({
    name: 'default/web:http/tcp',
    protocol: 'tcp',
    clusterIp: '10.96.0.1',
    port: 80,
    nodePort: 30080,
    externalIps: [],
    loadBalancerIps: [],
    sourceRanges: [],
    affinitySeconds: undefined,
    internalPolicy: 'cluster',
    externalPolicy: 'cluster',
    internal: 'forward',
    external: 'forward',
    clusterEndpoints: [
      { address: '10.0.0.1', port: 8080, local: true },
      { address: '10.0.0.2', port: 8080, local: false },
    ],
    localEndpoints: [],
  });
});

test('a Service of both families has ports in each, with what is of that family, in one spelling', () => {
  const dual = service(
    'web',
    {
      clusterIP: '10.96.0.1',
      clusterIPs: ['10.96.0.1', 'FD00:96:0::1'],
      externalIPs: ['198.51.100.1', 'fd00:51::0:1', 'fe80::1%eth0'],
      type: 'LoadBalancer',
      loadBalancerSourceRanges: ['192.0.2.0/24', 'FD00:2::/64'],
    },
    { status: { loadBalancer: { ingress: [{ ip: '203.0.113.1' }, { ip: 'fd00:113::1' }] } } },
  );
  const slices = [
    slice('web', [endpoint('10.0.0.1')]),
    { ...slice('web', [endpoint('fd00:244:0::1'), endpoint('10.0.0.9')], 'web-v6'), addressType: 'IPv6' },
  ];
  const seen = (family: IpFamily): Partial<ServicePort> => {
    const desired = new DesiredState({ nodeName: 'a', family });
    desired.setService(dual);
    for (const each of slices) desired.setSlice(each);
    desired.takeChanges();
    const { clusterIp, externalIps, loadBalancerIps, sourceRanges, clusterEndpoints } = only(desired);
    return { clusterIp, externalIps, loadBalancerIps, sourceRanges, clusterEndpoints };
  };
  expect(seen('IPv4')).toEqual({
    clusterIp: '10.96.0.1',
    externalIps: ['198.51.100.1'],
    loadBalancerIps: ['203.0.113.1'],
    sourceRanges: ['192.0.2.0/24'],
    clusterEndpoints: [{ address: '10.0.0.1', port: 8080, local: false }],
  });
  expect(seen('IPv6')).toEqual({
    clusterIp: 'fd00:96::1',
    externalIps: ['fd00:51::1'],
    loadBalancerIps: ['fd00:113::1'],
    sourceRanges: ['fd00:2::/64'],
    clusterEndpoints: [{ address: 'fd00:244::1', port: 8080, local: false }],
  });
});

test.each([
  ['headless', service('web', { clusterIP: 'None' })],
  ['ExternalName', service('web', { type: 'ExternalName' })],
  ['without an address yet', service('web', { clusterIP: '' })],
  ['of IPv6', service('web', { clusterIP: 'fd00::1' })],
  [
    'of another proxy',
    {
      ...service('web'),
      metadata: { namespace: 'default', name: 'web', labels: { 'service.kubernetes.io/service-proxy-name': 'x' } },
    },
  ],
])('a Service that is %s has no ports', (_, ignored) => {
  expect([...state(ignored, slice('web', [endpoint('10.0.0.1')])).ports()]).toEqual([]);
});

test('endpoints that serve while they terminate are used only when nothing is ready', () => {
  const ending = endpoint('10.0.0.2', 'b', { ready: false, serving: true, terminating: true });
  const desired = state(service('web'), slice('web', [endpoint('10.0.0.1'), ending]));
  expect(addresses(only(desired).clusterEndpoints)).toEqual(['10.0.0.1']);
  desired.setSlice(slice('web', [endpoint('10.0.0.1', 'b', { ready: false, serving: false }), ending]));
  desired.takeChanges();
  expect(addresses(only(desired).clusterEndpoints)).toEqual(['10.0.0.2']);
});

test('the policy Local drops when only other nodes serve, and rejects when nobody does', () => {
  const local = service('web', { internalTrafficPolicy: 'Local' });
  expect(only(state(local, slice('web', [endpoint('10.0.0.1', 'b')]))).internal).toBe('drop');
  expect(only(state(local, slice('web', []))).internal).toBe('reject');
  const here = only(state(local, slice('web', [endpoint('10.0.0.1', 'b'), endpoint('10.0.0.2', 'a')])));
  expect([here.internal, addresses(here.localEndpoints)]).toEqual(['forward', ['10.0.0.2']]);
});

test('the external policy Local leaves the inside alone', () => {
  const desired = state(
    service('web', {
      type: 'NodePort',
      externalTrafficPolicy: 'Local',
      ports: [{ name: 'http', port: 80, nodePort: 30080 }],
    }),
    slice('web', [endpoint('10.0.0.1', 'b')]),
  );
  expect(only(desired)).toMatchObject({ internal: 'forward', external: 'drop' });
});

test('hints narrow the endpoints when all have some and one points here', () => {
  const hinted = (address: string, node: string): Endpoint => ({
    ...endpoint(address, node),
    hints: { forNodes: [{ name: node }] },
  });
  const near = state(service('web'), slice('web', [hinted('10.0.0.1', 'a'), hinted('10.0.0.2', 'b')]));
  expect(addresses(only(near).clusterEndpoints)).toEqual(['10.0.0.1']);
  const unhinted = state(service('web'), slice('web', [hinted('10.0.0.1', 'a'), endpoint('10.0.0.2')]));
  expect(addresses(only(unhinted).clusterEndpoints)).toEqual(['10.0.0.1', '10.0.0.2']);
  const elsewhere = state(service('web'), slice('web', [hinted('10.0.0.1', 'c'), hinted('10.0.0.2', 'b')]));
  expect(addresses(only(elsewhere).clusterEndpoints)).toEqual(['10.0.0.1', '10.0.0.2']);
});

test('trafficDistribution PreferSameNode prefers this node, and zone hints follow the zone of the node', () => {
  const prefer = state(
    service('web', { trafficDistribution: 'PreferSameNode' }),
    slice('web', [endpoint('10.0.0.1', 'a'), endpoint('10.0.0.2', 'b')]),
  );
  expect(addresses(only(prefer).clusterEndpoints)).toEqual(['10.0.0.1']);
  const zoned = (address: string, zone: string): Endpoint => ({
    ...endpoint(address),
    hints: { forZones: [{ name: zone }] },
  });
  const desired = state(service('web'), slice('web', [zoned('10.0.0.1', 'x'), zoned('10.0.0.2', 'y')]));
  expect(addresses(only(desired).clusterEndpoints)).toEqual(['10.0.0.1', '10.0.0.2']);
  desired.setZone('y');
  desired.takeChanges();
  expect(addresses(only(desired).clusterEndpoints)).toEqual(['10.0.0.2']);
});

test('external addresses are those of the spec and of load balancers that do not want the traffic themselves', () => {
  const ingress = [{ ip: '203.0.113.1' }, { ip: '203.0.113.2', ipMode: 'Proxy' }, { hostname: 'x' }, { ip: 'fd00::2' }];
  const desired = state(
    service('web', { externalIPs: ['198.51.100.1', 'bad'] }, { status: { loadBalancer: { ingress } } }),
    slice('web', [endpoint('10.0.0.1')]),
  );
  expect(only(desired).externalIps).toEqual(['198.51.100.1']);
  expect(only(desired).loadBalancerIps).toEqual(['203.0.113.1']);
});

test('source ranges are those of this family, and of load balancers only', () => {
  const ranges = { loadBalancerSourceRanges: [' 192.0.2.0/24', 'fd00::/8', 'bad', '192.0.2.0/24'] };
  const status = { loadBalancer: { ingress: [{ ip: '203.0.113.1' }] } };
  expect(only(state(service('web', ranges, { status }))).sourceRanges).toEqual(['192.0.2.0/24']);
  expect(only(state(service('web', ranges))).sourceRanges).toEqual([]);
});

test('a health check node port counts the ready addresses of this node', () => {
  const spec = { type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort: 31_000 };
  const ending = endpoint('10.0.0.4', 'a', { ready: false, serving: true, terminating: true });
  const desired = state(
    service('web', spec),
    slice('web', [endpoint('10.0.0.1', 'a'), endpoint('10.0.0.2'), endpoint('10.0.0.3', 'a'), ending]),
  );
  expect([...desired.healthChecks()]).toEqual([
    { service: expect.objectContaining({ spec: expect.objectContaining(spec) }), port: 31_000, localEndpoints: 2 },
  ]);
  desired.setService(service('web', { ...spec, externalTrafficPolicy: 'Cluster' }));
  expect([...desired.healthChecks()]).toEqual([]);
});

test('session affinity has the time that the Service says, or three hours', () => {
  const web = (config?: object) =>
    service('web', { sessionAffinity: 'ClientIP', ...(config ? { sessionAffinityConfig: config } : {}) });
  expect(only(state(web())).affinitySeconds).toBe(10_800);
  expect(only(state(web({ clientIP: { timeoutSeconds: 7 } }))).affinitySeconds).toBe(7);
});

test('only what changed is in the changes, with both sides', () => {
  const desired = state(
    service('web'),
    service('other', { clusterIP: '10.96.0.2' }),
    slice('web', [endpoint('10.0.0.1')]),
    slice('other', [endpoint('10.0.0.5')]),
  );
  desired.setSlice(slice('web', [endpoint('10.0.0.1')]));
  expect(desired.takeChanges()).toEqual([]);
  desired.setSlice(slice('web', [endpoint('10.0.0.1'), endpoint('10.0.0.2')]));
  const [change, ...rest] = desired.takeChanges() as [PortChange];
  expect(rest).toEqual([]);
  expect(change.before?.name).toBe('default/web:http/tcp');
  expect([change.before?.clusterEndpoints.length, change.after?.clusterEndpoints.length]).toEqual([1, 2]);
  desired.deleteService(service('web'));
  expect(desired.takeChanges()).toEqual([{ before: change.after, after: undefined }]);
});

test('an endpoint that leaves gives its place to the last one, so that the others stay', () => {
  const all = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'].map(address => endpoint(address));
  const desired = state(service('web'), slice('web', all));
  const order = (): string[] => only(desired).clusterEndpoints.map(({ address }) => address);
  desired.setSlice(
    slice(
      'web',
      all.filter(({ addresses: [address] }) => address !== '10.0.0.2'),
    ),
  );
  desired.takeChanges();
  expect(order()).toEqual(['10.0.0.1', '10.0.0.4', '10.0.0.3']);
  desired.setSlice(slice('web', [endpoint('10.0.0.9'), endpoint('10.0.0.3'), endpoint('10.0.0.4')]));
  desired.takeChanges();
  expect(order()).toEqual(['10.0.0.9', '10.0.0.4', '10.0.0.3']);
  desired.setSlice(slice('web', [endpoint('10.0.0.4')]));
  desired.takeChanges();
  expect(order()).toEqual(['10.0.0.4']);
});

test('an address that two Services name belongs to the first, and to the other when it is given up', () => {
  const externalIPs = ['198.51.100.1'];
  const first = service('first', { externalIPs });
  const desired = state(first, service('second', { clusterIP: '10.96.0.2', externalIPs }));
  const owners = (): string[] =>
    [...desired.ports()].filter(port => port.externalIps.length > 0).map(({ name }) => name);
  expect(owners()).toEqual(['default/first:http/tcp']);
  desired.deleteService(first);
  expect(desired.takeChanges()).toHaveLength(2);
  expect(owners()).toEqual(['default/second:http/tcp']);
});

test('a cluster IP that is heard of under its new owner before its old one is gone goes over in one step', () => {
  const desired = state(service('old'));
  desired.setService(service('new'));
  desired.deleteService(service('old'));
  const changes = desired.takeChanges();
  expect(changes.map(({ before, after }) => [before?.name, after?.name])).toEqual(
    expect.arrayContaining([
      ['default/old:http/tcp', undefined],
      [undefined, 'default/new:http/tcp'],
    ]),
  );
});
