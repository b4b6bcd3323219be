import type { Pod } from '@naru/api';
import { cri } from '@naru/proto';

/** What a resolv.conf says. */
export interface ResolverConfig {
  servers: string[];
  searches: string[];
  options: string[];
}

export interface ClusterDns {
  servers: readonly string[];
  domain: string;
  /** The node's own resolver. */
  host: ResolverConfig;
}

/** Upstream's limits on what a resolv.conf may hold. */
const maxServers = 3;
const maxSearches = 32;
const maxSearchChars = 2048;

/** Reads the lines that matter of a resolv.conf; the last `search` wins. */
export function parseResolvConf(text: string): ResolverConfig {
  const config: ResolverConfig = { servers: [], searches: [], options: [] };
  for (const line of text.split('\n')) {
    const [keyword, ...rest] = line.trim().split(/\s+/);
    if (keyword === 'nameserver' && rest[0]) config.servers.push(rest[0]);
    else if (keyword === 'search') config.searches = rest.map(domain => domain.replace(/(.)\.$/, '$1'));
    else if (keyword === 'options') config.options = rest;
  }
  return config;
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)];
}

/** Options of the pod win over those of the same name below. */
function mergeOptions(
  base: readonly string[],
  own: { name?: string | undefined; value?: string | undefined }[],
): string[] {
  const merged = new Map<string, string>();
  for (const option of base) merged.set(option.split(':')[0] as string, option);
  for (const { name, value } of own) if (name) merged.set(name, value ? `${name}:${value}` : name);
  return [...merged.values()];
}

function withinLimits(searches: string[]): string[] {
  let chars = 0;
  return searches.slice(0, maxSearches).filter(domain => (chars += domain.length + 1) <= maxSearchChars + 1);
}

/** The resolver of a pod by its dnsPolicy and dnsConfig. Source: pkg/kubelet/network/dns. */
export function podDns(pod: Pod, cluster: ClusterDns): cri.DNSConfig {
  const { dnsPolicy = 'ClusterFirst', hostNetwork, dnsConfig } = pod.spec ?? {};
  const usesCluster =
    cluster.servers.length > 0 &&
    (dnsPolicy === 'ClusterFirstWithHostNet' || (dnsPolicy === 'ClusterFirst' && !hostNetwork));
  let base: ResolverConfig = cluster.host;
  if (usesCluster) {
    const { domain, host } = cluster;
    const clusterSearches = domain
      ? [`${pod.metadata?.namespace ?? 'default'}.svc.${domain}`, `svc.${domain}`, domain]
      : [];
    base = {
      servers: [...cluster.servers],
      searches: unique([...clusterSearches, ...host.searches]),
      options: ['ndots:5'],
    };
  } else if (dnsPolicy === 'None') base = { servers: [], searches: [], options: [] };
  return cri.DNSConfig.fromPartial({
    servers: unique([...base.servers, ...(dnsConfig?.nameservers ?? [])]).slice(0, maxServers),
    searches: withinLimits(unique([...base.searches, ...(dnsConfig?.searches ?? [])])),
    options: mergeOptions(base.options, dnsConfig?.options ?? []),
  });
}
