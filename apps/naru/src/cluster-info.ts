import { addressAt, addressesAt, ipv6Of, parseCidr } from './address';
import type { ClusterSettings } from './cluster';

/** What the api-server hands to a joining node, as it stands in the file of its flag --cluster-info. */
export interface ClusterInfo {
  clusterName: string;
  /** HOST:PORT of the gRPC door. */
  apiServer: string;
  /** tls://HOST:PORT */
  nats: string;
  /** These three: one, or one of each family with a comma between. */
  clusterCidr: string;
  serviceCidr: string;
  clusterDns: string;
  clusterDomain: string;
  proxyMode: string;
  podNetwork: string;
  /** Absent: true. */
  networkPolicy?: boolean;
  /** Addresses that the nodes announce for Services of type LoadBalancer; empty or absent: none. */
  loadBalancerAddresses?: string;
}

/** By custom the tenth address of the Service network. */
export function clusterDnsAddresses(serviceCidr: string): string {
  return addressesAt(serviceCidr, 10).join(',');
}

type RangeSettings = Pick<ClusterSettings, 'ipFamily'> & { nodeCidr?: string | undefined };

/** The last eighth of the nodes' network, and what goes with it of IPv6: nodes begin at the other end. */
export function loadBalancerAddresses({ nodeCidr, ipFamily }: RangeSettings): string {
  if (nodeCidr === undefined) return '';
  const size = 2 ** (32 - parseCidr(nodeCidr).bits);
  const ends = [addressAt(nodeCidr, size - size / 8), addressAt(nodeCidr, size - 2)];
  const ranges = [ends.join('-'), ends.map(end => ipv6Of(end, nodeCidr)).join('-')];
  return (ipFamily === 'ipv4' ? ranges.slice(0, 1) : ipFamily === 'ipv6' ? ranges.slice(1) : ranges).join(',');
}

export function clusterInfo(
  settings: Pick<
    ClusterSettings,
    'name' | 'clusterCidr' | 'serviceCidr' | 'clusterDomain' | 'proxyMode' | 'podNetwork' | 'networkPolicy'
  > &
    RangeSettings,
  apiServer: string,
  nats: string,
): ClusterInfo {
  return {
    clusterName: settings.name,
    apiServer,
    nats,
    clusterCidr: settings.clusterCidr,
    serviceCidr: settings.serviceCidr,
    clusterDns: clusterDnsAddresses(settings.serviceCidr),
    clusterDomain: settings.clusterDomain,
    proxyMode: settings.proxyMode,
    podNetwork: settings.podNetwork,
    networkPolicy: settings.networkPolicy,
    loadBalancerAddresses: loadBalancerAddresses(settings),
  };
}
