import type { Skeleton } from '../nft/rule-set';

export const tableName = 'naru-network-policy';

/** Sets that the entry's rules name; the others belong to policies. */
export const fixedSets = {
  /** Addresses of this node's pods: nobody else here has one. */
  known: { kind: 'set', type: 'ipv4_addr' },
  /** Every isolated pod with itself. */
  itself: { kind: 'set', type: 'ipv4_addr . ipv4_addr' },
  ingress: { kind: 'map', type: 'ipv4_addr : verdict' },
  egress: { kind: 'map', type: 'ipv4_addr : verdict' },
} as const;

/**
 * Where packets enter. Every packet of the asking side is judged, not only a connection's first: a connection that a new
 * policy forbids ends. What the node itself sends to its pods, as probes, and what they send to it, is not forwarded and so
 * not judged, as upstream wants. An address of this node's range that no pod is known by may have a policy that is not
 * there yet: it gets through only when it is known.
 */
function judgement(podCidr: string | undefined): string[] {
  const guard = podCidr
    ? [`ip saddr ${podCidr} ip saddr != @known drop`, `ip daddr ${podCidr} ip daddr != @known drop`]
    : [];
  return [
    'ct state established ct direction reply accept',
    'ct state related accept',
    'ip saddr . ip daddr @itself accept',
    ...guard,
    'ip saddr vmap @egress',
    'ip daddr vmap @ingress',
  ];
}

/**
 * Packets of IPVS are not forwarded: they come in for the node, and go out as if from it, translated and with the client's
 * address. What goes out with an address of the node's own is the node's.
 */
export function policySkeleton(podCidr: string | undefined): Skeleton {
  const rules = judgement(podCidr);
  return {
    table: tableName,
    comment: 'NetworkPolicies of Kubernetes',
    sets: fixedSets,
    chains: [
      { name: 'forward', hook: 'filter hook forward priority -5', rules },
      { name: 'output', hook: 'filter hook output priority -5', rules: ['fib saddr type local accept', ...rules] },
    ],
  };
}
