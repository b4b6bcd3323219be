import { addressAt, parseCidr } from './address';
import type { ClusterSettings } from './cluster';

/** What the api-server hands to a joining node, as it stands in the file of its flag --cluster-info. */
export interface ClusterInfo {
  clusterName: string;
  /** HOST:PORT of the gRPC door. */
  apiServer: string;
  /** tls://HOST:PORT */
  nats: string;
  clusterCidr: string;
  serviceCidr: string;
  clusterDns: string;
  clusterDomain: string;
  proxyMode: string;
  podNetwork: string;
  /** Addresses that the nodes announce for Services of type LoadBalancer; empty or absent: none. */
  loadBalancerAddresses?: string;
}

/** By custom the tenth address of the Service network. */
export function clusterDnsAddress(serviceCidr: string): string {
  return addressAt(serviceCidr, 10);
}

/** The last eighth of the nodes' network: nodes begin at its other end. */
export function loadBalancerAddresses(nodeCidr: string | undefined): string {
  if (nodeCidr === undefined) return '';
  const size = 2 ** (32 - parseCidr(nodeCidr).bits);
  return `${addressAt(nodeCidr, size - size / 8)}-${addressAt(nodeCidr, size - 2)}`;
}

export function clusterInfo(
  settings: Pick<ClusterSettings, 'name' | 'clusterCidr' | 'serviceCidr' | 'proxyMode' | 'podNetwork'> & {
    nodeCidr?: string | undefined;
  },
  apiServer: string,
  nats: string,
): ClusterInfo {
  return {
    clusterName: settings.name,
    apiServer,
    nats,
    clusterCidr: settings.clusterCidr,
    serviceCidr: settings.serviceCidr,
    clusterDns: clusterDnsAddress(settings.serviceCidr),
    clusterDomain: 'cluster.local',
    proxyMode: settings.proxyMode,
    podNetwork: settings.podNetwork,
    loadBalancerAddresses: loadBalancerAddresses(settings.nodeCidr),
  };
}
