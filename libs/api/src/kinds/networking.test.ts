import { create, refusals, updateRefusals } from '../testing/refusals';
import { ingressClassKind, ingressKind } from './ingress';
import { networkPolicyKind } from './network-policy';
import { ipAddressKind, serviceCIDRKind } from './service-cidr';

const backend = { service: { name: 'web', port: { number: 80 } } };
const path = { path: '/', pathType: 'Prefix', backend };
const ingress = (change: object) => ({
  metadata: { name: 'web' },
  spec: { rules: [{ host: 'a.example.com', http: { paths: [{ ...path, ...change }] } }] },
});

test('an ingress is accepted in all its forms', () => {
  expect(refusals(ingressKind, ingress({}))).toEqual([]);
  expect(refusals(ingressKind, { metadata: { name: 'web' }, spec: { defaultBackend: backend } })).toEqual([]);
  expect(refusals(ingressKind, ingress({ path: '', pathType: 'ImplementationSpecific' }))).toEqual([]);
});

const pathAt = 'spec.rules[0].http.paths[0]';
test.each<[string, object, string[]]>([
  ['no path type', { pathType: undefined }, [`${pathAt}.pathType: Required value: pathType must be specified`]],
  ['a relative path', { path: 'a' }, [`${pathAt}.path: Invalid value: "a": must be an absolute path`]],
  ['a path upwards', { path: '/a/../b' }, [`${pathAt}.path: Invalid value: "/a/../b": must not contain '/../'`]],
  ['no backend', { backend: {} }, [`${pathAt}.backend: Invalid value: "": resource or service backend is required`]],
  [
    'two ports',
    { backend: { service: { name: 'web', port: { number: 80, name: 'http' } } } },
    [`${pathAt}.backend: Invalid value: "": cannot set both port name & port number`],
  ],
])('an ingress with %s is refused', (_, change, expected) => {
  expect(refusals(ingressKind, ingress(change))).toEqual(expected);
});

test('an ingress names its hosts and its class as upstream demands', () => {
  const of = (spec: object, annotations = {}) =>
    refusals(ingressKind, { metadata: { name: 'web', annotations }, spec: { defaultBackend: backend, ...spec } });
  expect(of({ rules: [{ host: '10.0.0.1' }] })).toEqual([
    'spec.rules[0].host: Invalid value: "10.0.0.1": must be a DNS name, not an IP address',
  ]);
  expect(of({ rules: [{ host: '*.example.com' }] })).toEqual([]);
  expect(of({ rules: [{ host: 'a.*.com' }] })[0]).toContain('a wildcard DNS-1123 subdomain must start with');
  const annotations = { 'kubernetes.io/ingress.class': 'a' };
  expect(of({ ingressClassName: 'a' }, annotations)).toEqual([
    'metadata.annotations[kubernetes.io/ingress.class]: Invalid value: "a": can not be set when the class field is also set',
  ]);
  expect(ingressKind.strategy.warnings?.(create(ingressKind, { metadata: { annotations } }))).toEqual([
    'annotation "kubernetes.io/ingress.class" is deprecated, please use \'spec.ingressClassName\' instead',
  ]);
});

test('an ingress class keeps its controller, and its parameters have a scope', () => {
  const metadata = { name: 'c' };
  const body = { metadata, spec: { controller: 'example.com/c', parameters: { kind: 'K', name: 'n' } } };
  expect(create(ingressClassKind, body).spec?.parameters?.scope).toBe('Cluster');
  expect(refusals(ingressClassKind, body)).toEqual([]);
  expect(refusals(ingressClassKind, { metadata, spec: { controller: 'c' } })).toEqual([
    'spec.controller: Invalid value: "c": must be a domain-prefixed path (such as "acme.io/foo")',
  ]);
  expect(updateRefusals(ingressClassKind, body, o => (o.spec!.controller = 'example.com/d'))).toEqual([
    'spec.controller: Invalid value: "example.com/d": field is immutable',
  ]);
  const namespaced = { kind: 'K', name: 'n', scope: 'Namespace' };
  expect(refusals(ingressClassKind, { metadata, spec: { controller: 'a.b/c', parameters: namespaced } })).toEqual([
    "spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'",
  ]);
});

test('a network policy is about egress when it has rules for it', () => {
  const { spec } = create(networkPolicyKind, { spec: { podSelector: {}, egress: [{ ports: [{ port: 53 }] }] } });
  expect(spec?.policyTypes).toEqual(['Ingress', 'Egress']);
  expect(spec?.egress?.[0]?.ports).toEqual([{ port: 53, protocol: 'TCP' }]);
  expect(create(networkPolicyKind, { spec: { podSelector: {} } }).spec?.policyTypes).toEqual(['Ingress']);
});

test.each<[string, object, string[]]>([
  ['nobody', { from: [{}] }, ['spec.ingress[0].from[0]: Required value: must specify a peer']],
  [
    'a block and more',
    { from: [{ podSelector: {}, ipBlock: { cidr: '10.0.0.0/8' } }] },
    ['spec.ingress[0].from[0]: Forbidden: may not specify both ipBlock and another peer'],
  ],
  [
    'an exception that is elsewhere',
    { from: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['11.0.0.0/16'] } }] },
    ['spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: "11.0.0.0/16": must be a strict subset of `cidr`'],
  ],
  [
    'ports that run backwards',
    { ports: [{ port: 90, endPort: 80 }] },
    ['spec.ingress[0].ports[0].endPort: Invalid value: 80: must be greater than or equal to `port`'],
  ],
  [
    'a range from a name',
    { ports: [{ port: 'http', endPort: 80 }] },
    ['spec.ingress[0].ports[0].endPort: Invalid value: 80: may not be specified when `port` is non-numeric'],
  ],
])('a network policy with %s is refused', (_, rule, expected) => {
  const body = { metadata: { name: 'p' }, spec: { podSelector: {}, ingress: [rule] } };
  expect(refusals(networkPolicyKind, body)).toEqual(expected);
});

test('blocks of IPv6 addresses may hold exceptions', () => {
  const block = { cidr: '2001:db8::/32', except: ['2001:db8:1::/48'] };
  const body = { metadata: { name: 'p' }, spec: { podSelector: {}, ingress: [{ from: [{ ipBlock: block }] }] } };
  expect(refusals(networkPolicyKind, body)).toEqual([]);
});

test('a range of Services may get a second family, and nothing else', () => {
  const metadata = { name: 'r' };
  const body = { metadata, spec: { cidrs: ['10.10.0.0/24'] } };
  expect(refusals(serviceCIDRKind, body)).toEqual([]);
  expect(updateRefusals(serviceCIDRKind, body, o => o.spec!.cidrs!.push('2001:db8::/112'))).toEqual([]);
  expect(updateRefusals(serviceCIDRKind, body, o => (o.spec!.cidrs = ['10.11.0.0/24']))).toEqual([
    'spec.cidrs: Invalid value: ["10.11.0.0/24"]: field is immutable',
  ]);
  expect(refusals(serviceCIDRKind, { metadata, spec: { cidrs: ['10.0.0.0/24', '10.1.0.0/24'] } })[0]).toContain(
    'may specify no more than one IP for each IP family',
  );
  expect(refusals(serviceCIDRKind, { metadata, spec: { cidrs: ['10.0.0.1/24'] } })[0]).toContain('canonical form');
});

test('an address is called as it is spelled, and keeps its parent', () => {
  const spec = { parentRef: { resource: 'services', namespace: 'default', name: 'web' } };
  const named = (name: string) => ({ metadata: { name }, spec });
  expect(refusals(ipAddressKind, named('10.0.0.1'))).toEqual([]);
  expect(refusals(ipAddressKind, named('2001:db8::1'))).toEqual([]);
  expect(refusals(ipAddressKind, named('2001:DB8::1'))[0]).toContain('canonical form');
  expect(refusals(ipAddressKind, named('web'))[0]).toContain('canonical form');
  expect(updateRefusals(ipAddressKind, named('10.0.0.1'), o => (o.spec!.parentRef!.name = 'other'))[0]).toContain(
    'spec.parentRef: Invalid value',
  );
  const o = create(ipAddressKind, named('10.0.0.1'));
  expect(ipAddressKind.columns.map(column => column.cell(o, 0)).slice(0, 2)).toEqual([
    '10.0.0.1',
    'services/default/web',
  ]);
});
