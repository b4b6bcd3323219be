import { compileLabelSelector, type LabelMatcher, type NetworkPolicy, type Stored } from '@naru/api';
import { isDefined, rangeOf, type IpFamily } from '../desired/ip-family';
import { nftFamily } from '../modes/nftables/skeleton';
import { groupName, type PodGroupSpec } from './pod-group';

export type Direction = 'ingress' | 'egress';

/** What a policy says of one direction, as rules of nft without their verdict: what any of them matches is allowed. */
export interface DirectionRules {
  matches: string[];
  groups: PodGroupSpec[];
}

export interface CompiledPolicy {
  /** `namespace/name`. */
  readonly key: string;
  readonly namespace: string;
  readonly selects: LabelMatcher;
  /** Absent: the policy does not isolate in this direction. */
  readonly ingress: DirectionRules | undefined;
  readonly egress: DirectionRules | undefined;
}

type Spec = NonNullable<NetworkPolicy['spec']>;
type Peer = NonNullable<NonNullable<NonNullable<Spec['ingress']>[number]['from']>[number]>;
type Port = NonNullable<NonNullable<Spec['ingress']>[number]['ports']>[number];

/** Throws for an operator of a selector that does not exist, which the api-server does not let through. */
export function compilePolicy({ metadata, spec }: Stored<NetworkPolicy>, family: IpFamily): CompiledPolicy {
  const namespace = metadata.namespace ?? '';
  const { ingress = [], egress = [], podSelector = {} } = spec ?? {};
  // Upstream's default, for objects that were stored without.
  const types = spec?.policyTypes ?? ['Ingress', ...(egress.length > 0 ? ['Egress'] : [])];
  const compile = (direction: Direction, rules: { peers: Peer[]; ports: Port[] }[]): DirectionRules => {
    const made: DirectionRules = { matches: [], groups: [] };
    for (const { peers, ports } of rules)
      compileRule({ family, direction, namespace, podSelector }, peers, ports, made);
    return made;
  };
  return {
    key: `${namespace}/${metadata.name}`,
    namespace,
    selects: compileLabelSelector(podSelector),
    ingress: types.includes('Ingress')
      ? compile(
          'ingress',
          ingress.map(({ from = [], ports = [] }) => ({ peers: from, ports })),
        )
      : undefined,
    egress: types.includes('Egress')
      ? compile(
          'egress',
          egress.map(({ to = [], ports = [] }) => ({ peers: to, ports })),
        )
      : undefined,
  };
}

interface Scope {
  family: IpFamily;
  direction: Direction;
  namespace: string;
  podSelector: NonNullable<Spec['podSelector']>;
}

/** One part of a match: the text, and the pods that it speaks of. */
interface Match {
  text: string;
  group?: PodGroupSpec;
}

function compileRule(scope: Scope, peers: Peer[], ports: Port[], made: DirectionRules): void {
  // No peers mean everybody, no ports every port; but a list whose entries all match nothing allows nothing.
  const sources: (Peer | undefined)[] = peers.length > 0 ? peers : [undefined];
  const numbers: (Port | undefined)[] = ports.length > 0 ? ports : [undefined];
  for (const peer of sources) {
    for (const port of numbers) {
      const parts = matchOf(scope, peer, port);
      if (!parts) continue;
      // An empty match is a rule too: everything is allowed.
      made.matches.push(
        parts
          .map(({ text }) => text)
          .filter(Boolean)
          .join(' '),
      );
      for (const { group } of parts) if (group) made.groups.push(group);
    }
  }
}

function matchOf(scope: Scope, peer: Peer | undefined, port: Port | undefined): Match[] | undefined {
  const address = `${nftFamily[scope.family]} ${scope.direction === 'ingress' ? 'saddr' : 'daddr'}`;
  const who = peerMatch(scope, peer, address);
  if (!who) return undefined;
  const protocol = (port?.protocol ?? 'TCP').toLowerCase();
  if (port === undefined) return [who];
  if (typeof port.port !== 'string') return [who, { text: numberedPorts(protocol, port.port, port.endPort) }];
  const named = { name: port.port, protocol };
  if (scope.direction === 'ingress') {
    // Which number it is, the pod says that is asked: one that the policy selects.
    return [who, namedPort({ namespace: scope.namespace, podSelector: scope.podSelector, port: named }, scope)];
  }
  const everywhere: PodGroupSpec = { namespaceSelector: {}, podSelector: {} };
  const target = namedPort({ ...(who.group ?? everywhere), port: named }, scope);
  return who.group ? [target] : [who, target];
}

function namedPort(group: PodGroupSpec, { family }: Scope): Match {
  return { text: `${nftFamily[family]} daddr . meta l4proto . th dport @${groupName(group)}`, group };
}

function numberedPorts(protocol: string, port: number | undefined, endPort: number | undefined): string {
  if (port === undefined) return `meta l4proto ${protocol}`;
  const range = endPort !== undefined && endPort > port ? `${port}-${endPort}` : String(port);
  return `meta l4proto ${protocol} th dport ${range}`;
}

/** Undefined when the peer is nobody whom the family could name. */
function peerMatch({ namespace, family }: Scope, peer: Peer | undefined, address: string): Match | undefined {
  if (peer === undefined) return { text: '' };
  if (peer.ipBlock) {
    const { cidr, except = [] } = peer.ipBlock;
    const range = rangeOf(cidr, family);
    if (range === undefined) return undefined;
    const but = except.map(text => rangeOf(text, family)).filter(isDefined);
    return { text: [`${address} ${range}`, ...but.map(excluded => `${address} != ${excluded}`)].join(' ') };
  }
  const { namespaceSelector, podSelector = {} } = peer;
  const group: PodGroupSpec = namespaceSelector ? { namespaceSelector, podSelector } : { namespace, podSelector };
  return { text: `${address} @${groupName(group)}`, group };
}
