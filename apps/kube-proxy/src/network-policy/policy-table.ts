import type { IpFamily } from '../desired/ip-family';
import { addressType, nftFamily } from '../modes/nftables/skeleton';
import type { NamedSet, Skeleton } from '../nft/rule-set';

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

/** How neighbours find each other: without it nobody reaches anybody. */
const neighbourDiscovery =
  'icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept';

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
export function policySkeleton(family: IpFamily, podCidr: string | undefined): Skeleton {
  const rules = judgement(family, podCidr);
  return {
    table: policyTable(family),
    comment: 'NetworkPolicies of Kubernetes',
    sets: fixedSets(family),
    chains: [
      { name: 'forward', hook: 'filter hook forward priority -5', rules },
      { name: 'output', hook: 'filter hook output priority -5', rules: ['fib saddr type local accept', ...rules] },
    ],
  };
}
