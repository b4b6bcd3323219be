import { familyOf } from '@naru/foundation';
import {
  emptyBatch,
  flushRoutes,
  listRoutes,
  routeProtocol,
  type BackendDeps,
  type Batch,
  type PodNetworkBackend,
} from './backend';
import { ofFamily } from './peer';

/** Routes through the other nodes' addresses of the same family; they must be on one network with this node. */
export function hostGateway({ run }: BackendDeps): PodNetworkBackend {
  return {
    name: 'host-gw',
    overhead: 0,
    prepare: async () => undefined,
    add({ podCidrs, nodeIps }): Batch {
      const batch = emptyBatch();
      for (const podCidr of podCidrs) {
        const family = familyOf(podCidr);
        const gateway = ofFamily(nodeIps, family);
        if (gateway) batch.ip[family].push(`route replace ${podCidr} via ${gateway} proto ${routeProtocol}`);
      }
      return batch;
    },
    remove({ podCidrs }): Batch {
      const batch = emptyBatch();
      // `flush` where `del` would fail on a route that is gone already.
      for (const podCidr of podCidrs) batch.ip[familyOf(podCidr)].push(`route flush ${podCidr} proto ${routeProtocol}`);
      return batch;
    },
    list: async () => (await listRoutes(run)).map(({ dst }) => ({ podCidrs: [dst], nodeIps: [] })),
    cleanup: () => flushRoutes(run),
  };
}
