import type { IpFamily } from '../desired/ip-family';
import { addressType, nftFamily } from '../modes/nftables/skeleton';
import type { NamedSet, Skeleton } from '../nft/rule-set';
import type { PodNetworkConfig } from '../pod-network/pod-network';

/** With its family, as nft names it. */
export function policyTable(family: IpFamily): string {
  return `${nftFamily[family]} naru-network-policy`;
}

export type FixedSet = 'known' | 'itself' | 'ingress' | 'egress';

/** Sets that the entry's rules name; the others belong to policies. */
export function fixedSets(family: IpFamily): Readonly<Record<FixedSet, Omit<NamedSet, 'elements'>>> {
  const address = addressType[family];
  return {
    /** Addresses of this node's pods: nobody else here has one. */
    known: { kind: 'set', type: address },
    /** Every isolated pod with itself. */
    itself: { kind: 'set', type: `${address} . ${address}` },
    ingress: { kind: 'map', type: `${address} : verdict` },
    egress: { kind: 'map', type: `${address} : verdict` },
  };
}

/**
 * How neighbours find each other: without it nobody reaches anybody. Such messages never pass a router, which would have
 * taken one off their hop limit: what did is no question of a neighbour but somebody's data in the guise of one.
 */
const neighbourDiscovery =
  'ip6 hoplimit 255 icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept';

/** What of a pod network of ours matters here. */
export type OwnNetwork = Pick<PodNetworkConfig, 'backend' | 'vxlan'>;

/** What `ptp` calls the node's ends of its pods' links. */
const podLinks = 'iifname "veth*"';

/**
 * Policies know pods by their addresses, so a pod may speak with none but its own: whoever may open raw sockets, as root in
 * a container may unless told otherwise, could write any into a packet, and be bound by no policy. Nor may it speak to
 * where nodes take packets out of tunnels, wrapped in which it could send any.
 */
function ownAddresses({ backend, vxlan }: OwnNetwork): string[] {
  return [
    `${podLinks} fib saddr . iif oif missing drop`,
    ...(backend === 'vxlan' ? [`${podLinks} udp dport ${vxlan.port} drop`] : []),
  ];
}

/**
 * Where packets enter. Every packet of the asking side is judged, not only a connection's first: a connection that a new
 * policy forbids ends. What the node itself sends to its pods, as probes, and what they send to it, is not forwarded and so
 * not judged, as upstream wants. An address of this node's range that no pod is known by may have a policy that is not
 * there yet: it gets through only when it is known.
 */
function judgement(family: IpFamily, podCidr: string | undefined): string[] {
  const ip = nftFamily[family];
  const guard = podCidr
    ? [`${ip} saddr ${podCidr} ${ip} saddr != @known drop`, `${ip} daddr ${podCidr} ${ip} daddr != @known drop`]
    : [];
  return [
    ...(family === 'IPv6' ? [neighbourDiscovery] : []),
    'ct state established ct direction reply accept',
    'ct state related accept',
    `${ip} saddr . ${ip} daddr @itself accept`,
    ...guard,
    `${ip} saddr vmap @egress`,
    `${ip} daddr vmap @ingress`,
  ];
}

/**
 * Packets of IPVS are not forwarded: they come in for the node, and go out as if from it, translated and with the client's
 * address. What goes out with an address of the node's own is the node's.
 */
export function policySkeleton(
  family: IpFamily,
  podCidr: string | undefined,
  network: OwnNetwork | undefined,
): Skeleton {
  const rules = judgement(family, podCidr);
  return {
    table: policyTable(family),
    comment: 'NetworkPolicies of Kubernetes',
    sets: fixedSets(family),
    chains: [
      ...(network
        ? [{ name: 'from-pods', hook: 'filter hook prerouting priority -300', rules: ownAddresses(network) }]
        : []),
      { name: 'forward', hook: 'filter hook forward priority -5', rules },
      { name: 'output', hook: 'filter hook output priority -5', rules: ['fib saddr type local accept', ...rules] },
    ],
  };
}
