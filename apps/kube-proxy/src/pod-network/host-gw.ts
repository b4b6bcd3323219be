import { listRoutes, routeProtocol, type BackendDeps, type PodNetworkBackend } from './backend';

/** Routes through the other nodes' addresses; they must be on one network with this node. */
export function hostGateway({ run }: BackendDeps): PodNetworkBackend {
  return {
    name: 'host-gw',
    overhead: 0,
    prepare: async () => undefined,
    add: ({ podCidr, nodeIp }) => ({
      ip: [`route replace ${podCidr} via ${nodeIp} proto ${routeProtocol}`],
      bridge: [],
    }),
    // `flush` where `del` would fail on a route that is gone already.
    remove: ({ podCidr }) => ({ ip: [`route flush ${podCidr} proto ${routeProtocol}`], bridge: [] }),
    list: async () => (await listRoutes(run)).map(({ dst, gateway = '' }) => ({ podCidr: dst, nodeIp: gateway })),
    async cleanup() {
      await run('ip', ['-4', 'route', 'flush', 'proto', String(routeProtocol)]);
    },
  };
}
