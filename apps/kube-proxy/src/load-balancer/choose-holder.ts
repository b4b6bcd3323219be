import { createHash } from 'node:crypto';
import type { Node } from '@naru/api';

const excludeLabel = 'node.kubernetes.io/exclude-from-external-load-balancers';

/** May a load balancer send to this node? As upstream's service controller judges. */
export function isEligible({ metadata, status }: Node): boolean {
  if (metadata?.labels?.[excludeLabel] !== undefined || metadata?.deletionTimestamp !== undefined) return false;
  return status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') ?? false;
}

/**
 * The node that is to answer for an address: every node comes to the same answer without asking, and when one comes or goes only its
 * addresses move (rendezvous hashing). Undefined without candidates.
 */
export function chooseHolder(address: string, candidates: Iterable<string>): string | undefined {
  const score = (node: string): string => createHash('sha256').update(`${address} ${node}`).digest('hex');
  let best: { node: string; score: string } | undefined;
  for (const node of candidates) {
    const own = score(node);
    if (!best || own > best.score) best = { node, score: own };
  }
  return best?.node;
}
