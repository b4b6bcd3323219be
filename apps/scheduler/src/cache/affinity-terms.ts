import type { Labels } from '@naru/api';
import { NodeCounts } from './node-counts';
import type { AffinityTerm, PodAffinity } from './pod-affinity';
import type { PodInfo } from './pod-info';

/** A term that placed pods have, and where they are. */
export interface HeldTerm {
  readonly term: AffinityTerm;
  readonly counts: NodeCounts;
}

const kinds = ['required', 'requiredAnti', 'preferred', 'preferredAnti'] as const satisfies (keyof PodAffinity)[];

/**
 * The affinity terms of the placed pods, equal ones together: pods of one Deployment have the same, so that what they think of another
 * pod is asked once and not of each.
 */
export class AffinityTerms {
  private readonly held: Record<keyof PodAffinity, Map<string, HeldTerm>> = {
    required: new Map(),
    requiredAnti: new Map(),
    preferred: new Map(),
    preferredAnti: new Map(),
  };

  constructor(private readonly labelsOf: (nodeName: string) => Labels) {}

  of(kind: keyof PodAffinity): Iterable<HeldTerm> {
    return this.held[kind].values();
  }

  added(info: PodInfo, nodeName: string): void {
    this.change(info, nodeName, 1);
  }

  removed(info: PodInfo, nodeName: string): void {
    this.change(info, nodeName, -1);
  }

  forgetDomains(): void {
    for (const kind of kinds) for (const { counts } of this.of(kind)) counts.forgetDomains();
  }

  private change({ affinity }: PodInfo, nodeName: string, change: 1 | -1): void {
    if (!affinity) return;
    for (const kind of kinds)
      for (const term of affinity[kind]) this.changeTerm(this.held[kind], term, nodeName, change);
  }

  private changeTerm(held: Map<string, HeldTerm>, term: AffinityTerm, nodeName: string, change: 1 | -1): void {
    const key = `${term.topologyKey} ${term.weight} ${term.id}`;
    let entry = held.get(key);
    if (!entry) held.set(key, (entry = { term, counts: new NodeCounts(this.labelsOf) }));
    entry.counts.add(nodeName, change);
    if (entry.counts.byNode.size === 0) held.delete(key);
  }
}
