import type { NetworkPolicy, Stored } from '@naru/api';
import type { IpFamily } from '../desired/ip-family';
import { compilePolicy, type CompiledPolicy } from './compile-policy';
import { groupName, type PodGroupSpec } from './pod-group';

type Spec = NonNullable<NetworkPolicy['spec']>;
type Rule = NonNullable<NonNullable<Spec['ingress']>[number]>;

const compile = (spec: Partial<Spec>, family: IpFamily = 'IPv4'): CompiledPolicy =>
  compilePolicy({ metadata: { name: 'p', namespace: 'ns' }, spec } as Stored<NetworkPolicy>, family);

const podSelector = { matchLabels: { app: 'web' } };
const others = { matchLabels: { app: 'client' } };
const everywhere = { namespaceSelector: {}, podSelector: {} };
const http = { name: 'http', protocol: 'tcp' };

test.each<[Partial<Spec>, ingress: boolean, egress: boolean]>([
  [{}, true, false],
  [{ egress: [{}] }, true, true],
  [{ policyTypes: ['Egress'] }, false, true],
  [{ policyTypes: ['Ingress'], egress: [{}] }, true, false],
])('the policy %j isolates what comes in: %s, and what goes out: %s', (spec, ingress, egress) => {
  const compiled = compile(spec);
  expect(compiled).toMatchObject({ key: 'ns/p', namespace: 'ns' });
  expect([compiled.ingress !== undefined, compiled.egress !== undefined]).toEqual([ingress, egress]);
});

/** Groups are written in the expected texts as @0, @1, ... */
function numbered(matches: string[], groups: PodGroupSpec[]): string[] {
  return matches.map(match => groups.reduce((text, group, index) => text.replace(groupName(group), `${index}`), match));
}

const sources: [string, Rule[], string[], PodGroupSpec[]][] = [
  ['nobody', [], [], []],
  ['everybody', [{}], [''], []],
  [
    'pods of its namespace',
    [{ from: [{ podSelector: others }] }],
    ['ip saddr @0'],
    [{ namespace: 'ns', podSelector: others }],
  ],
  [
    'all pods of namespaces',
    [{ from: [{ namespaceSelector: others }] }],
    ['ip saddr @0'],
    [{ namespaceSelector: others, podSelector: {} }],
  ],
  [
    'some pods of namespaces',
    [{ from: [{ namespaceSelector: {}, podSelector: others }] }],
    ['ip saddr @0'],
    [{ namespaceSelector: {}, podSelector: others }],
  ],
  [
    'a block without parts of it',
    [{ from: [{ ipBlock: { cidr: '10.0.0.9/8', except: ['10.1.0.0/16', '10.2.0.0/16'] } }] }],
    ['ip saddr 10.0.0.0/8 ip saddr != 10.1.0.0/16 ip saddr != 10.2.0.0/16'],
    [],
  ],
  ['a block of the other family', [{ from: [{ ipBlock: { cidr: 'fd00::/8' } }], ports: [{ port: 80 }] }], [], []],
  [
    'blocks of either family',
    [{ from: [{ ipBlock: { cidr: 'fd00::/8' } }, { ipBlock: { cidr: '10.0.0.0/8' } }] }],
    ['ip saddr 10.0.0.0/8'],
    [],
  ],
  [
    'everybody to ports',
    [{ ports: [{ port: 80 }, { port: 53, protocol: 'UDP' }] }],
    ['meta l4proto tcp th dport 80', 'meta l4proto udp th dport 53'],
    [],
  ],
  ['everybody to a protocol', [{ ports: [{ protocol: 'SCTP' }] }], ['meta l4proto sctp'], []],
  ['everybody to a range', [{ ports: [{ port: 80, endPort: 90 }] }], ['meta l4proto tcp th dport 80-90'], []],
  ['everybody to a range of one', [{ ports: [{ port: 80, endPort: 80 }] }], ['meta l4proto tcp th dport 80'], []],
  [
    'pods to a port with a name, which those that are asked have',
    [{ from: [{ podSelector: others }], ports: [{ port: 'http' }] }],
    ['ip saddr @0 ip daddr . meta l4proto . th dport @1'],
    [
      { namespace: 'ns', podSelector: others },
      { namespace: 'ns', podSelector, port: http },
    ],
  ],
  [
    'each of its peers to each of its ports',
    [{ from: [{ podSelector: others }, { ipBlock: { cidr: '10.0.0.0/8' } }], ports: [{ port: 1 }, { port: 2 }] }],
    [
      'ip saddr @0 meta l4proto tcp th dport 1',
      'ip saddr @0 meta l4proto tcp th dport 2',
      'ip saddr 10.0.0.0/8 meta l4proto tcp th dport 1',
      'ip saddr 10.0.0.0/8 meta l4proto tcp th dport 2',
    ],
    [
      { namespace: 'ns', podSelector: others },
      { namespace: 'ns', podSelector: others },
    ],
  ],
];
test.each(sources)('what comes in from %s is matched', (_, ingress, matches, groups) => {
  const rules = compile({ podSelector, ingress }).ingress;
  expect(rules?.groups).toEqual(groups);
  expect(numbered(rules?.matches ?? [], groups)).toEqual(matches);
});

const destinations: [string, NonNullable<Spec['egress']>, string[], PodGroupSpec[]][] = [
  ['pods', [{ to: [{ podSelector: others }] }], ['ip daddr @0'], [{ namespace: 'ns', podSelector: others }]],
  [
    'a port with a name of pods, which tells their addresses, too',
    [{ to: [{ podSelector: others }], ports: [{ port: 'http' }] }],
    ['ip daddr . meta l4proto . th dport @0'],
    [{ namespace: 'ns', podSelector: others, port: http }],
  ],
  [
    'a port with a name of anybody',
    [{ ports: [{ port: 'http' }] }],
    ['ip daddr . meta l4proto . th dport @0'],
    [{ ...everywhere, port: http }],
  ],
  [
    'a port with a name in a block',
    [{ to: [{ ipBlock: { cidr: '10.0.0.0/8' } }], ports: [{ port: 'http' }] }],
    ['ip daddr 10.0.0.0/8 ip daddr . meta l4proto . th dport @0'],
    [{ ...everywhere, port: http }],
  ],
];
test.each(destinations)('what goes out to %s is matched', (_, egress, matches, groups) => {
  const rules = compile({ podSelector, egress }).egress;
  expect(rules?.groups).toEqual(groups);
  expect(numbered(rules?.matches ?? [], groups)).toEqual(matches);
});

test('a policy speaks of IPv6 where that is the family', () => {
  const cidr = { cidr: 'fd00::/8', except: ['fd01::/16', '10.0.0.0/8'] };
  const rules = compile({ ingress: [{ from: [{ ipBlock: cidr }, { ipBlock: { cidr: '10.0.0.0/8' } }] }] }, 'IPv6');
  expect(rules.ingress?.matches).toEqual(['ip6 saddr fd00::/8 ip6 saddr != fd01::/16']);
});

test('a policy selects pods by their labels', () => {
  const { selects } = compile({ podSelector });
  expect([selects({ app: 'web' }), selects({ app: 'client' })]).toEqual([true, false]);
});
