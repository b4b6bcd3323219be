import { isIpv6 } from '../desired/ip-family';
import type { Endpoint, ServicePort } from '../desired/service-port';

/** Endpoints of other nodes, of the family of the address. */
function someEndpoints(clusterIp: string): Endpoint[] {
  const addresses = isIpv6(clusterIp) ? ['fd00:100::', 'fd00:100::1'] : ['10.100.0.0', '10.100.0.1'];
  return addresses.map(address => ({ address, port: 8080, local: false }));
}

/** A port that is served by `clusterEndpoints`; everything can be overridden. */
export function aPort(overrides: Partial<ServicePort> = {}): ServicePort {
  const clusterIp = overrides.clusterIp ?? '10.96.0.10';
  const endpoints = overrides.clusterEndpoints ?? someEndpoints(clusterIp);
  const localEndpoints = overrides.localEndpoints ?? endpoints.filter(endpoint => endpoint.local);
  const verdict = (local: boolean): ServicePort['internal'] =>
    endpoints.length === 0 ? 'reject' : local && localEndpoints.length === 0 ? 'drop' : 'forward';
  return {
    name: 'default/web:http/tcp',
    protocol: 'tcp',
    clusterIp,
    port: 80,
    nodePort: undefined,
    externalIps: [],
    loadBalancerIps: [],
    sourceRanges: [],
    affinitySeconds: undefined,
    internalPolicy: 'cluster',
    externalPolicy: 'cluster',
    internal: verdict(overrides.internalPolicy === 'local'),
    external: verdict(overrides.externalPolicy === 'local'),
    clusterEndpoints: endpoints,
    localEndpoints,
    ...overrides,
  };
}
