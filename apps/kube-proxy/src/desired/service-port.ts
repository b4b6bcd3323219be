import { hostPort } from '@naru/foundation';

/** Lower case, as nft and iptables write it. */
export type Protocol = 'tcp' | 'udp' | 'sctp';

/** Where a connection may be sent. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
  /** The endpoint is on this node. */
  readonly local: boolean;
}

/**
 * What happens to new connections: `forward` to an endpoint, `reject` (nobody serves this anywhere) or `drop` (somebody
 * does, but the traffic policy is Local and nobody on this node does).
 */
export type Verdict = 'forward' | 'reject' | 'drop';

/** Which endpoints a kind of traffic may use: all that topology allows, or those of this node. */
export type Policy = 'cluster' | 'local';

/** One port of one Service, with everything that rules of one family need. Never changed once made. */
export interface ServicePort {
  /** `namespace/service:port/protocol`; the port's name is empty when it has none. */
  readonly name: string;
  readonly protocol: Protocol;
  readonly clusterIp: string;
  readonly port: number;
  readonly nodePort: number | undefined;
  readonly externalIps: readonly string[];
  /** The load balancer's addresses that packets arrive with here. */
  readonly loadBalancerIps: readonly string[];
  /** Who may use the load balancer's addresses: ranges such as 192.0.2.0/24. Empty: everybody. */
  readonly sourceRanges: readonly string[];
  /** Session affinity by client address, for so long after the last connection. */
  readonly affinitySeconds: number | undefined;
  readonly internalPolicy: Policy;
  readonly externalPolicy: Policy;
  /** For connections to the cluster IP. */
  readonly internal: Verdict;
  /** For connections from outside to the node port and the external addresses. */
  readonly external: Verdict;
  /** In an order that changes as little as possible from one version to the next. */
  readonly clusterEndpoints: readonly Endpoint[];
  readonly localEndpoints: readonly Endpoint[];
}

/** The step from one desired state to the next. Both sides are there when a port changed. */
export interface PortChange {
  readonly before: ServicePort | undefined;
  readonly after: ServicePort | undefined;
}

export function endpointsFor(port: ServicePort, policy: Policy): readonly Endpoint[] {
  return policy === 'local' ? port.localEndpoints : port.clusterEndpoints;
}

export function endpointKey(endpoint: Endpoint): string {
  return hostPort(endpoint.address, endpoint.port);
}

/** Every address besides the cluster IP that means this port. */
export function outsideIps({ externalIps, loadBalancerIps }: ServicePort): readonly string[] {
  return loadBalancerIps.length === 0 ? externalIps : [...externalIps, ...loadBalancerIps];
}

export function isExternal(port: ServicePort): boolean {
  return port.nodePort !== undefined || port.externalIps.length > 0 || port.loadBalancerIps.length > 0;
}

function sameList<T>(a: readonly T[], b: readonly T[], same: (x: T, y: T) => boolean): boolean {
  return a === b || (a.length === b.length && a.every((item, index) => same(item, b[index] as T)));
}

function sameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return a.address === b.address && a.port === b.port && a.local === b.local;
}

export function samePort(a: ServicePort, b: ServicePort): boolean {
  return (
    a.name === b.name &&
    a.protocol === b.protocol &&
    a.clusterIp === b.clusterIp &&
    a.port === b.port &&
    a.nodePort === b.nodePort &&
    a.affinitySeconds === b.affinitySeconds &&
    a.internalPolicy === b.internalPolicy &&
    a.externalPolicy === b.externalPolicy &&
    a.internal === b.internal &&
    a.external === b.external &&
    sameList(a.externalIps, b.externalIps, Object.is) &&
    sameList(a.loadBalancerIps, b.loadBalancerIps, Object.is) &&
    sameList(a.sourceRanges, b.sourceRanges, Object.is) &&
    sameList(a.clusterEndpoints, b.clusterEndpoints, sameEndpoint) &&
    sameList(a.localEndpoints, b.localEndpoints, sameEndpoint)
  );
}
