import { hostPort } from '@naru/foundation';
import {
  endpointsFor,
  outsideIps,
  type Endpoint,
  type Protocol,
  type ServicePort,
  type Verdict,
} from '../../desired/service-port';
import { shortHash } from '../short-hash';
import type { RuleConfig } from '../mode';
import { nftFamily } from './skeleton';

export type MapName =
  'service-ips' | 'service-nodeports' | 'no-endpoint-services' | 'no-endpoint-nodeports' | 'firewall-ips';

/** By address and port, or by node port. */
type EndpointMap = `endpoints-${Protocol}` | `nodeport-endpoints-${Protocol}`;

/** One element of a set or map of ours: a set's element has no value. */
export interface Element {
  set: MapName | EndpointMap | 'cluster-ips' | 'hairpin';
  key: string;
  value?: string;
}

export interface Chain {
  name: string;
  rules: string[];
}

/** What one port of a Service contributes to the table. */
export interface Fragment {
  elements: Element[];
  /** Chains of this port alone. */
  chains: Chain[];
  /** Names of sets of client addresses that stick to an endpoint; the kernel fills them, so they outlive changes of rules. */
  affinitySets: string[];
  /** Chains that all ports with the same number of endpoints share. */
  sharedChains: Chain[];
}

const setMasqueradeMark = 'meta mark set mark or 0x4000';

/**
 * Renders a port. Most take no chain of their own: a verdict map sends the connection to the chain for N endpoints, whose one
 * rule draws a number below N and looks up the endpoint in a map that all ports share. So a change of endpoints is a few
 * elements, and the size of the table's structure does not grow with the number of Services.
 * Only ports with session affinity, and the outside of those with externalTrafficPolicy Local, have their own chains.
 */
export function renderPort(port: ServicePort, config: RuleConfig): Fragment {
  const fragment: Fragment = { elements: [], chains: [], affinitySets: [], sharedChains: [] };
  const own = ownNames(port, config);
  fragment.elements.push({ set: 'cluster-ips', key: port.clusterIp });
  renderInternal(port, config, own, fragment);
  renderExternal(port, config, own, fragment);
  renderFirewall(port, own, fragment);
  renderAffinityEndpoints(port, own, fragment);
  renderHairpin(port, fragment);
  return fragment;
}

interface OwnNames {
  /** What nft calls the family. */
  ip: string;
  internal: string;
  external: string;
  inside: string;
  firewall: string;
  endpoint(endpoint: Endpoint): string;
  affinity(endpoint: Endpoint): string;
}

/** nft allows letters, digits and / \ _ . - in names, at most 127 of them; a hash keeps them apart when cut. */
function ownNames(port: ServicePort, { family }: RuleConfig): OwnNames {
  const tail = `${shortHash(port.name, 8)}-${port.name.replaceAll(':', '/')}`.slice(0, 70);
  return {
    ip: nftFamily[family],
    internal: `service-${tail}`,
    external: `external-${tail}`,
    inside: `inside-${tail}`,
    firewall: `firewall-${tail}`,
    endpoint: ({ address, port: number }) => `endpoint-${tail}__${address.replaceAll(':', '.')}/${number}`,
    affinity: ({ address, port: number }) => `affinity-${tail}__${address.replaceAll(':', '.')}/${number}`,
  };
}

function addressKey(ip: string, port: ServicePort): string {
  return `${ip} . ${port.protocol} . ${port.port}`;
}

function refusal(verdict: Verdict): string {
  return verdict === 'reject' ? 'goto reject-chain' : 'drop';
}

function target({ address, port }: Endpoint): string {
  return `${address} . ${port}`;
}

function clusterSource(config: RuleConfig, comparison: '' | '!= '): string {
  return `${nftFamily[config.family]} saddr ${comparison}${config.clusterCidr}`;
}

function renderInternal(port: ServicePort, config: RuleConfig, own: OwnNames, fragment: Fragment): void {
  const key = addressKey(port.clusterIp, port);
  if (port.internal !== 'forward') {
    fragment.elements.push({ set: 'no-endpoint-services', key, value: refusal(port.internal) });
    return;
  }
  const endpoints = endpointsFor(port, port.internalPolicy);
  // Who is no pod may not be able to receive a pod's answer directly.
  const masquerade = config.clusterCidr ? [`${clusterSource(config, '!= ')} ${setMasqueradeMark}`] : [];
  if (port.affinitySeconds !== undefined) {
    fragment.elements.push({ set: 'service-ips', key, value: `goto ${own.internal}` });
    fragment.chains.push({ name: own.internal, rules: [...masquerade, ...dispatch(endpoints, port, own)] });
    return;
  }
  const shared = `cluster-${port.protocol}-${endpoints.length}`;
  fragment.sharedChains.push({ name: shared, rules: [...masquerade, drawByAddress(port, endpoints.length, own)] });
  fragment.elements.push({ set: 'service-ips', key, value: `goto ${shared}` });
  pushEndpoints(`endpoints-${port.protocol}`, `${port.clusterIp} . ${port.port}`, endpoints, fragment);
}

function renderExternal(port: ServicePort, config: RuleConfig, own: OwnNames, fragment: Fragment): void {
  const { protocol, nodePort, external } = port;
  const externalIps = outsideIps(port);
  const places: { map: 'service-ips' | 'service-nodeports'; key: string }[] = [
    ...externalIps.map(ip => ({ map: 'service-ips' as const, key: addressKey(ip, port) })),
    ...(nodePort === undefined ? [] : [{ map: 'service-nodeports' as const, key: `${protocol} . ${nodePort}` }]),
  ];
  if (places.length === 0) return;
  if (external !== 'forward') {
    for (const { map, key } of places) {
      const set = map === 'service-ips' ? 'no-endpoint-services' : 'no-endpoint-nodeports';
      fragment.elements.push({ set, key, value: refusal(external) });
    }
  }
  if (external === 'reject') return;
  if (port.externalPolicy === 'local' || port.affinitySeconds !== undefined) {
    for (const { map, key } of places) fragment.elements.push({ set: map, key, value: `goto ${own.external}` });
    renderOwnExternal(port, config, own, fragment);
  } else renderSharedExternal(port, own, fragment);
}

/** Before translation: who is not in the source ranges does not get through to the load balancer's addresses. */
function renderFirewall(port: ServicePort, own: OwnNames, fragment: Fragment): void {
  if (port.sourceRanges.length === 0) return;
  // A node that holds the address asks with it.
  const allowed = [...port.sourceRanges, ...port.loadBalancerIps];
  fragment.chains.push({
    name: own.firewall,
    rules: [...allowed.map(range => `${own.ip} saddr ${range} return`), 'drop'],
  });
  for (const ip of port.loadBalancerIps) {
    fragment.elements.push({ set: 'firewall-ips', key: addressKey(ip, port), value: `goto ${own.firewall}` });
  }
}

/** The common case: from outside to any endpoint. */
function renderSharedExternal(port: ServicePort, own: OwnNames, fragment: Fragment): void {
  const { protocol, clusterEndpoints, nodePort } = port;
  const externalIps = outsideIps(port);
  const count = clusterEndpoints.length;
  if (externalIps.length > 0) {
    const name = `external-${protocol}-${count}`;
    fragment.sharedChains.push({ name, rules: [setMasqueradeMark, drawByAddress(port, count, own)] });
    for (const ip of externalIps) {
      fragment.elements.push({ set: 'service-ips', key: addressKey(ip, port), value: `goto ${name}` });
      pushEndpoints(`endpoints-${protocol}`, `${ip} . ${port.port}`, clusterEndpoints, fragment);
    }
  }
  if (nodePort !== undefined) {
    const name = `nodeport-${protocol}-${count}`;
    const draw = `dnat ${own.ip} to ${protocol} dport . numgen random mod ${count} map @nodeport-endpoints-${protocol}`;
    fragment.sharedChains.push({ name, rules: [setMasqueradeMark, draw] });
    fragment.elements.push({ set: 'service-nodeports', key: `${protocol} . ${nodePort}`, value: `goto ${name}` });
    pushEndpoints(`nodeport-endpoints-${protocol}`, String(nodePort), clusterEndpoints, fragment);
  }
}

function renderOwnExternal(port: ServicePort, config: RuleConfig, own: OwnNames, fragment: Fragment): void {
  if (port.externalPolicy === 'cluster') {
    const rules = [setMasqueradeMark, ...dispatch(port.clusterEndpoints, port, own)];
    fragment.chains.push({ name: own.external, rules });
    return;
  }
  const rules: string[] = [];
  // Pods and this node itself reach every endpoint: the policy is for what comes from outside.
  if (port.clusterEndpoints.length > 0) {
    fragment.chains.push({ name: own.inside, rules: dispatch(port.clusterEndpoints, port, own) });
    if (config.clusterCidr) rules.push(`${clusterSource(config, '')} goto ${own.inside}`);
    rules.push(`fib saddr type local ${setMasqueradeMark}`, `fib saddr type local goto ${own.inside}`);
  }
  if (port.external === 'forward') rules.push(...dispatch(port.localEndpoints, port, own));
  fragment.chains.push({ name: own.external, rules });
}

/** The rules that choose an endpoint in a chain of the port's own. */
function dispatch(endpoints: readonly Endpoint[], port: ServicePort, own: OwnNames): string[] {
  const count = endpoints.length;
  if (count === 0) return [];
  if (port.affinitySeconds === undefined) {
    const entries = endpoints.map((endpoint, place) => `${place} : ${target(endpoint)}`);
    return [`meta l4proto ${port.protocol} dnat ${own.ip} to numgen random mod ${count} map { ${entries.join(', ')} }`];
  }
  const sticky = endpoints.map(endpoint => `${own.ip} saddr @${own.affinity(endpoint)} goto ${own.endpoint(endpoint)}`);
  const entries = endpoints.map((endpoint, place) => `${place} : goto ${own.endpoint(endpoint)}`);
  return [...sticky, `numgen random mod ${count} vmap { ${entries.join(', ')} }`];
}

function drawByAddress({ protocol }: ServicePort, count: number, { ip }: OwnNames): string {
  return `dnat ${ip} to ${ip} daddr . ${protocol} dport . numgen random mod ${count} map @endpoints-${protocol}`;
}

function pushEndpoints(set: EndpointMap, key: string, endpoints: readonly Endpoint[], fragment: Fragment): void {
  endpoints.forEach((endpoint, place) => {
    fragment.elements.push({ set, key: `${key} . ${place}`, value: target(endpoint) });
  });
}

function allEndpoints(port: ServicePort): Map<string, Endpoint> {
  const all = [...port.clusterEndpoints, ...port.localEndpoints];
  return new Map(all.map(endpoint => [target(endpoint), endpoint]));
}

function renderAffinityEndpoints(port: ServicePort, own: OwnNames, fragment: Fragment): void {
  if (port.affinitySeconds === undefined) return;
  for (const endpoint of allEndpoints(port).values()) {
    const affinity = own.affinity(endpoint);
    fragment.affinitySets.push(affinity);
    fragment.chains.push({
      name: own.endpoint(endpoint),
      rules: [
        `update @${affinity} { ${own.ip} saddr timeout ${port.affinitySeconds}s }`,
        `meta l4proto ${port.protocol} dnat ${own.ip} to ${hostPort(endpoint.address, endpoint.port)}`,
      ],
    });
  }
}

/** A pod that is given itself would answer itself directly, past the translation; only this node's pods can. */
function renderHairpin(port: ServicePort, fragment: Fragment): void {
  const local = new Set<string>();
  for (const endpoint of allEndpoints(port).values()) if (endpoint.local) local.add(endpoint.address);
  for (const address of local) fragment.elements.push({ set: 'hairpin', key: `${address} . ${address}` });
}
