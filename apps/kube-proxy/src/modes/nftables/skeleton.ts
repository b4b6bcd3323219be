import { loopback, type IpFamily } from '../../desired/ip-family';
import type { Protocol } from '../../desired/service-port';
import { localnet, type RuleConfig } from '../mode';

/** The table of this process: nobody else writes into it, and we write nowhere else. */
export const tableName = 'naru-proxy';

/** What nft calls the family. */
export const nftFamily: Readonly<Record<IpFamily, 'ip' | 'ip6'>> = { IPv4: 'ip', IPv6: 'ip6' };

/** The type of an address, as sets name it. */
export const addressType: Readonly<Record<IpFamily, string>> = { IPv4: 'ipv4_addr', IPv6: 'ipv6_addr' };

const protocols: Protocol[] = ['tcp', 'udp', 'sctp'];

/**
 * Endpoints by address, port and place; `typeof` because nft has no name for a random number's type in a concatenation.
 * One map a protocol: with `th dport` for any of them nft 1.0.6 cannot add rules that use the map later.
 */
function endpointMaps(ip: string): Record<string, string> {
  const place = 'numgen random mod 65536';
  const entries = protocols.flatMap(protocol => {
    const port = `${protocol} dport`;
    return [
      [`endpoints-${protocol}`, `map { typeof ${ip} daddr . ${port} . ${place} : ${ip} daddr . ${port}; }`],
      [`nodeport-endpoints-${protocol}`, `map { typeof ${port} . ${place} : ${ip} daddr . ${port}; }`],
    ];
  });
  return Object.fromEntries(entries) as Record<string, string>;
}

function setsOf(family: IpFamily): Record<string, string> {
  const address = addressType[family];
  return {
    'cluster-ips': `set { type ${address}; }`,
    hairpin: `set { type ${address} . ${address}; }`,
    'service-ips': `map { type ${address} . inet_proto . inet_service : verdict; }`,
    'service-nodeports': 'map { type inet_proto . inet_service : verdict; }',
    'no-endpoint-services': `map { type ${address} . inet_proto . inet_service : verdict; }`,
    'no-endpoint-nodeports': 'map { type inet_proto . inet_service : verdict; }',
    'firewall-ips': `map { type ${address} . inet_proto . inet_service : verdict; }`,
    ...endpointMaps(nftFamily[family]),
  };
}

/** Named after what they do; the hooks and priorities are upstream's (pkg/proxy/nftables). */
const chains: Record<string, { hook?: string; rules: string[] | ((config: RuleConfig, ip: string) => string[]) }> = {
  // A reset for TCP: the kernel sends ICMP to a host but once a second or so, and the next client would wait.
  'reject-chain': { rules: ['meta l4proto tcp reject with tcp reset', 'reject'] },
  'service-endpoints-check': { rules: (_, ip) => [`${ip} daddr . meta l4proto . th dport vmap @no-endpoint-services`] },
  'nodeport-endpoints-check': {
    rules: config => toNodePorts(config, 'no-endpoint-nodeports'),
  },
  // After translation, so what is still addressed to a cluster IP asked for a port that the Service does not have.
  'cluster-ips-check': { rules: (_, ip) => [`${ip} daddr @cluster-ips goto reject-chain`] },
  'firewall-check': { rules: (_, ip) => [`ct state new ${ip} daddr . meta l4proto . th dport vmap @firewall-ips`] },
  services: {
    rules: (config, ip) => [
      `${ip} daddr . meta l4proto . th dport vmap @service-ips`,
      ...toNodePorts(config, 'service-nodeports'),
    ],
  },
  'do-masquerade': { rules: ['meta mark set mark and 0xffffbfff', 'masquerade fully-random'] },
  'filter-prerouting': { hook: 'filter hook prerouting priority -110', rules: ['jump firewall-check'] },
  'filter-input': {
    hook: 'filter hook input priority -110',
    rules: ({ family }) => [
      ...(family === 'IPv4'
        ? [`ip daddr ${localnet} ct state new ct status and dnat == 0 fib saddr type != local drop`]
        : []),
      'ct state new jump nodeport-endpoints-check',
      'ct state new jump service-endpoints-check',
    ],
  },
  'filter-forward': {
    hook: 'filter hook forward priority -110',
    rules: ['ct state new jump service-endpoints-check', 'ct state new jump cluster-ips-check'],
  },
  'filter-output': {
    hook: 'filter hook output priority -110',
    rules: ['jump firewall-check', 'ct state new jump service-endpoints-check'],
  },
  'filter-output-post-dnat': {
    hook: 'filter hook output priority -90',
    rules: ['ct state new jump cluster-ips-check'],
  },
  'nat-prerouting': { hook: 'nat hook prerouting priority -100', rules: ['jump services'] },
  'nat-output': { hook: 'nat hook output priority -100', rules: ['jump services'] },
  'nat-postrouting': {
    hook: 'nat hook postrouting priority 100',
    rules: (_, ip) => [
      'meta mark and 0x4000 == 0x4000 goto do-masquerade',
      `ct status dnat ${ip} saddr . ${ip} daddr @hairpin goto do-masquerade`,
    ],
  },
};

/** An answer from a loopback address could not be routed back. */
function toNodePorts({ family, nodePortAddresses }: RuleConfig, map: string): string[] {
  const ip = nftFamily[family];
  const lookup = `${ip} daddr != ${loopback[family]} meta l4proto . th dport vmap @${map}`;
  if (!nodePortAddresses) return [`fib daddr type local ${lookup}`];
  return nodePortAddresses.map(range => `fib daddr type local ${ip} daddr ${range} ${lookup}`);
}

/** Our own sets and maps by name; nft wants to hear which of both it is. */
export const setKinds: ReadonlyMap<string, string> = new Map(
  Object.entries(setsOf('IPv4')).map(([name, text]) => [name, text.slice(0, 3)]),
);
export const chainNames = Object.keys(chains);

/** The commands that make the structure, or leave it as it is where it is there; rules are added, not replaced. */
export function renderSkeleton(config: RuleConfig): string[] {
  const ip = nftFamily[config.family];
  const table = `${ip} ${tableName}`;
  const lines = [`add table ${table} { comment "rules of kube-proxy"; }`];
  for (const [name, text] of Object.entries(setsOf(config.family))) {
    const [kind, ...body] = text.split(' ');
    lines.push(`add ${kind} ${table} ${name} ${body.join(' ')}`);
  }
  for (const [name, { hook }] of Object.entries(chains)) {
    lines.push(`add chain ${table} ${name}${hook ? ` { type ${hook}; }` : ''}`);
  }
  for (const [name, { rules }] of Object.entries(chains)) {
    const texts = typeof rules === 'function' ? rules(config, ip) : rules;
    for (const rule of texts) lines.push(`add rule ${table} ${name} ${rule}`);
  }
  return lines;
}
