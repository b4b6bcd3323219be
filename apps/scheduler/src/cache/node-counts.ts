import type { Labels } from '@naru/api';

/**
 * How many pods of one kind each node has and, for the topology keys that have been asked about, each domain. A change costs the same
 * however many nodes there are; only after a node has come, gone or got other labels are domains counted anew.
 */
export class NodeCounts {
  private readonly counts = new Map<string, number>();
  private readonly domains = new Map<string, Map<string, number>>();

  /** `labelsOf` gives undefined for nodes that are not there. */
  constructor(private readonly labelsOf: (nodeName: string) => Labels) {}

  /** Node name → count; nodes without such pods are absent. */
  get byNode(): ReadonlyMap<string, number> {
    return this.counts;
  }

  add(nodeName: string, change: number): void {
    increase(this.counts, nodeName, change);
    if (this.domains.size === 0) return;
    const labels = this.labelsOf(nodeName);
    for (const [topologyKey, domains] of this.domains) {
      const domain = labels?.[topologyKey];
      if (domain !== undefined) increase(domains, domain, change);
    }
  }

  /** Domain → count; domains without such pods are absent. Lives on: not to be kept beyond the scheduling cycle. */
  inDomains(topologyKey: string): ReadonlyMap<string, number> {
    const known = this.domains.get(topologyKey);
    if (known) return known;
    const domains = new Map<string, number>();
    for (const [nodeName, count] of this.counts) {
      const domain = this.labelsOf(nodeName)?.[topologyKey];
      if (domain !== undefined) increase(domains, domain, count);
    }
    this.domains.set(topologyKey, domains);
    return domains;
  }

  /** A node has come, gone or got other labels. */
  forgetDomains(): void {
    this.domains.clear();
  }
}

function increase(counts: Map<string, number>, key: string, change: number): void {
  const count = (counts.get(key) ?? 0) + change;
  if (count > 0) counts.set(key, count);
  else counts.delete(key);
}
