import type { Service } from '@naru/api';
import { isIpv4, isIpv4Range } from './candidates';

/** An address, and the nodes that may answer for it; absent: any. */
export interface LoadBalancerAddress {
  address: string;
  nodes: ReadonlySet<string> | undefined;
}

export interface OutsideAddresses {
  external: string[];
  loadBalancer: string[];
}

/** The addresses outside the cluster that mean a Service; IPv4. */
export function outsideAddresses(spec: Service['spec'], status: Service['status']): OutsideAddresses {
  // ipMode Proxy: the load balancer wants the traffic sent through itself.
  const ingress = status?.loadBalancer?.ingress?.filter(({ ipMode }) => ipMode !== 'Proxy').map(({ ip }) => ip) ?? [];
  const external = new Set((spec?.externalIPs ?? []).filter(isIpv4).filter(ip => ip !== spec?.clusterIP));
  const isNew = (ip: string): boolean => ip !== spec?.clusterIP && !external.has(ip);
  return { external: [...external], loadBalancer: [...new Set(ingress.filter(isIpv4).filter(isNew))] };
}

/** Ranges of the other family are the other family's; when all are, this one is not restricted, as upstream. */
export function sourceRangesOf(spec: Service['spec']): string[] {
  return [...new Set((spec?.loadBalancerSourceRanges ?? []).map(range => range.trim()))].filter(isIpv4Range);
}
