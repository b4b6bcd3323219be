import type { Service } from '@naru/api';
import { addressOf, isDefined, rangeOf, type IpFamily } from './ip-family';

/** An address, and the nodes that may answer for it; absent: any. */
export interface LoadBalancerAddress {
  address: string;
  nodes: ReadonlySet<string> | undefined;
}

export interface OutsideAddresses {
  external: string[];
  loadBalancer: string[];
}

/** The Service's address inside the cluster; undefined when it has none of the family. */
export function clusterIpOf(spec: Service['spec'], family: IpFamily): string | undefined {
  const { clusterIP, clusterIPs = [] } = spec ?? {};
  const all = clusterIPs.length > 0 ? clusterIPs : [clusterIP];
  return all.map(ip => addressOf(ip, family)).find(isDefined);
}

/** The addresses of a family outside the cluster that mean a Service. */
export function outsideAddresses({ spec, status }: Service, family: IpFamily): OutsideAddresses {
  const clusterIp = clusterIpOf(spec, family);
  const ofFamily = (ips: readonly (string | undefined)[]): Set<string> =>
    new Set(ips.map(ip => addressOf(ip, family)).filter(isDefined));
  // ipMode Proxy: the load balancer wants the traffic sent through itself.
  const ingress = status?.loadBalancer?.ingress?.filter(({ ipMode }) => ipMode !== 'Proxy').map(({ ip }) => ip) ?? [];
  const external = ofFamily(spec?.externalIPs ?? []);
  external.delete(clusterIp ?? '');
  const isNew = (ip: string): boolean => ip !== clusterIp && !external.has(ip);
  return { external: [...external], loadBalancer: [...ofFamily(ingress)].filter(isNew) };
}

/** Ranges of the other family are the other family's; when all are, this one is not restricted, as upstream. */
export function sourceRangesOf(spec: Service['spec'], family: IpFamily): string[] {
  const ranges = spec?.loadBalancerSourceRanges ?? [];
  return [...new Set(ranges.map(range => rangeOf(range.trim(), family)).filter(isDefined))];
}
