import type { Endpoint, ServicePort } from '../desired/service-port';

/** `count` endpoints 10.244.A.B:8080; the first `local` of them on this node. */
export function someEndpoints(count: number, offset = 0, local = 0): Endpoint[] {
  return Array.from({ length: count }, (_, index) => {
    const number = offset + index;
    return {
      address: `10.${100 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`,
      port: 8080,
      local: index < local,
    };
  });
}

/** A port that is served by `clusterEndpoints`; everything can be overridden. */
export function aPort(overrides: Partial<ServicePort> = {}): ServicePort {
  const endpoints = overrides.clusterEndpoints ?? someEndpoints(2);
  const localEndpoints = overrides.localEndpoints ?? endpoints.filter(endpoint => endpoint.local);
  const verdict = (local: boolean): ServicePort['internal'] =>
    endpoints.length === 0 ? 'reject' : local && localEndpoints.length === 0 ? 'drop' : 'forward';
  return {
    name: 'default/web:http/tcp',
    protocol: 'tcp',
    clusterIp: '10.96.0.10',
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
