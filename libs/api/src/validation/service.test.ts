import { serviceKind } from '../kinds/service';
import type { Service } from '../types';

const { strategy } = serviceKind;

function create(spec: Service['spec']): { service: Service; errors: string[] } {
  const service: Service = { metadata: { name: 's', namespace: 'd' }, spec };
  strategy.applyDefaults(service);
  strategy.prepareForCreate(service);
  return { service, errors: strategy.validateCreate(service).map(e => `${e.field}: ${e.type} ${e.detail}`.trim()) };
}

test('a service gets its defaults', () => {
  const { service, errors } = create({ ports: [{ port: 80 }] });
  expect(errors).toEqual([]);
  expect(service.spec).toEqual({
    ports: [{ port: 80, protocol: 'TCP', targetPort: 80 }],
    type: 'ClusterIP',
    sessionAffinity: 'None',
    internalTrafficPolicy: 'Cluster',
  });
});

const ports = [{ port: 80 }];

test.each<[Service['spec'], string]>([
  [{}, 'spec.ports: FieldValueRequired'],
  [{ ports: [{ port: 80 }, { port: 81 }] }, 'spec.ports[0].name: FieldValueRequired'],
  [
    { ports: [{ port: 80, nodePort: 30000 }] },
    "spec.ports[0].nodePort: FieldValueForbidden may not be used when `type` is 'ClusterIP'",
  ],
  [{ ports: [{ port: 0 }] }, 'spec.ports[0].port: FieldValueInvalid must be between 1 and 65535, inclusive'],
  [{ type: 'ExternalName' }, 'spec.externalName: FieldValueRequired'],
  [
    { type: 'ExternalName', externalName: 'a.example', ipFamilies: ['IPv4'], ipFamilyPolicy: 'SingleStack' },
    'spec.ipFamilies: FieldValueForbidden may not be set for ExternalName services,' +
      'spec.ipFamilyPolicy: FieldValueForbidden may not be set for ExternalName services',
  ],
  [
    { clusterIPs: ['10.0.0.1'], ports },
    'spec.clusterIPs: FieldValueInvalid must be empty when `clusterIP` is not specified',
  ],
  [
    { clusterIP: '10.0.0.1', clusterIPs: ['10.0.0.2'], ports },
    'spec.clusterIPs: FieldValueInvalid first value must match `clusterIP`',
  ],
  [
    { clusterIP: 'None', clusterIPs: ['None', 'fd00::1'], ports },
    "spec.clusterIPs: FieldValueInvalid 'None' must be the first and only value",
  ],
  [
    { clusterIP: '10.0.0.1', clusterIPs: ['10.0.0.1', '10.0.0.2'], ports },
    'spec.clusterIPs: FieldValueInvalid may specify no more than one IP for each IP family',
  ],
  [{ clusterIP: 'x', ports }, 'spec.clusterIPs[0]: FieldValueInvalid must be a valid IP address'],
  [
    { clusterIP: '10.0.0.1', ipFamilies: ['IPv6'], ports },
    'spec.clusterIPs[0]: FieldValueInvalid expected an IPv6 value as indicated by `ipFamilies[0]`',
  ],
  [{ ipFamilies: ['IPv4', 'IPv4'], ports }, 'spec.ipFamilies[1]: FieldValueDuplicate'],
  [
    { ipFamilies: ['IPv5'], ports } as never,
    'spec.ipFamilies[0]: FieldValueNotSupported supported values: "IPv4", "IPv6"',
  ],
  [{ ipFamilyPolicy: 'Both', ports }, 'spec.ipFamilyPolicy: FieldValueNotSupported'],
  [{ type: 'Magic', ports: [{ port: 1 }] }, 'spec.type: FieldValueNotSupported'],
])('%j is refused', (spec, message) => {
  expect(create(spec).errors.join()).toContain(message);
});

test('an update keeps what was allocated, and may not change the address', () => {
  const { service: old } = create({ type: 'NodePort', ports: [{ port: 80 }] });
  old.spec!.clusterIP = '10.96.0.9';
  old.spec!.clusterIPs = ['10.96.0.9'];
  old.spec!.ports![0]!.nodePort = 30123;
  const next: Service = { metadata: { ...old.metadata }, spec: { type: 'NodePort', ports: [{ port: 80 }] } };
  strategy.applyDefaults(next);
  strategy.prepareForUpdate(next, old);
  expect(next.spec).toMatchObject({ clusterIP: '10.96.0.9', ports: [{ nodePort: 30123 }] });
  expect(strategy.validateUpdate(next, old)).toEqual([]);
  next.spec!.clusterIP = '10.96.0.10';
  strategy.prepareForUpdate(next, old);
  expect(next.spec?.clusterIPs).toEqual(['10.96.0.10']);
  expect(strategy.validateUpdate(next, old)[0]).toMatchObject({ field: 'spec.clusterIPs[0]' });
});

test('a node port goes with the type that had it', () => {
  const { service: old } = create({ type: 'NodePort', ports: [{ port: 80, nodePort: 30123 }] });
  const next = structuredClone(old);
  next.spec!.type = 'ClusterIP';
  strategy.applyDefaults(next);
  strategy.prepareForUpdate(next, old);
  expect(next.spec?.ports).toEqual([{ port: 80, protocol: 'TCP', targetPort: 80 }]);
  expect(strategy.validateUpdate(next, old)).toEqual([]);
});

test('where a load balancer answers is told with its mode, and of a load balancer only', () => {
  const told = (type: string, ingress: object): string[] => {
    const { service: old } = create({ type, ports });
    const next: Service = { ...structuredClone(old), status: { loadBalancer: { ingress: [ingress] } } };
    strategy.applyDefaults(next);
    const problems = strategy.validateStatusUpdate(next, old).map(({ field, detail }) => `${field}: ${detail}`);
    return problems.length > 0 ? problems : [JSON.stringify(next.status?.loadBalancer?.ingress)];
  };
  const at = 'status.loadBalancer.ingress';
  expect(told('LoadBalancer', { ip: '203.0.113.1' })).toEqual(['[{"ip":"203.0.113.1","ipMode":"VIP"}]']);
  expect(told('LoadBalancer', { hostname: 'a.example' })).toEqual(['[{"hostname":"a.example"}]']);
  expect(told('ClusterIP', { ip: '203.0.113.1' })).toEqual([
    `${at}: may only be used when \`spec.type\` is "LoadBalancer"`,
  ]);
  expect(told('LoadBalancer', { hostname: 'a.example', ipMode: 'VIP' })).toEqual([
    `${at}[0].ipMode: may not be specified when \`ip\` is not set`,
  ]);
  expect(told('LoadBalancer', { ip: '203.0.113.1', ipMode: 'Other' })).toEqual([
    `${at}[0].ipMode: supported values: "Proxy", "VIP"`,
  ]);
  expect(told('LoadBalancer', { hostname: '10.0.0.1' })).toEqual([
    `${at}[0].hostname: must be a DNS name, not an IP address`,
  ]);
});
