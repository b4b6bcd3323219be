import type { IpFamily } from '@naru/foundation';

/** Where the cluster's DNS is found: names that upstream's tools and manifests know. */
export const dnsNamespace = 'kube-system';
export const dnsServiceName = 'kube-dns';

/** On Lease and EndpointSlice: whose they are. */
export const replicaLabel = 'dns.naru.dev/replica';
export const managedByLabel = 'endpointslice.kubernetes.io/managed-by';
export const managedBy = 'dns.naru.dev';

export function leaseName(replica: string): string {
  return `${dnsServiceName}-${replica}`;
}

/** A slice is of one family. */
export function sliceName(replica: string, family: IpFamily): string {
  return family === 4 ? leaseName(replica) : `${leaseName(replica)}-ipv6`;
}
