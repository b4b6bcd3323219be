import type { Labels, Pod } from '@naru/api';
import { BoundedMap } from '@naru/foundation';
import { NodeCounts } from './node-counts';
import type { PodInfo } from './pod-info';

/** Which pods to count. Equal ids must select the same pods. */
export interface PodSelection {
  id: string;
  matches(pod: Pod): boolean;
  /** Pods that are being deleted do not count for spreading, but do for affinity. */
  countTerminating: boolean;
}

interface Counter {
  selection: PodSelection;
  counts: NodeCounts;
}

/** How many selections are kept up to date; the one unused for longest is dropped. */
const maxCounters = 256;

/**
 * How many pods of a selection each node has. A selection is counted in full when it is first asked for and then kept up
 * to date by each pod that comes and goes: spreading the thousandth pod of a Deployment does not look at the other 999.
 */
export class PodCounters {
  private readonly counters = new BoundedMap<string, Counter>(maxCounters);

  constructor(
    private readonly allPods: () => Iterable<{ info: PodInfo; nodeName: string }>,
    private readonly labelsOf: (nodeName: string) => Labels,
  ) {}

  count(selection: PodSelection): NodeCounts {
    let counter = this.counters.get(selection.id);
    if (!counter) {
      counter = { selection, counts: new NodeCounts(this.labelsOf) };
      for (const { info, nodeName } of this.allPods()) apply(counter, info, nodeName, 1);
    }
    // Used last, so it is the last to make room.
    this.counters.set(selection.id, counter);
    return counter.counts;
  }

  added(info: PodInfo, nodeName: string): void {
    for (const counter of this.counters.values()) apply(counter, info, nodeName, 1);
  }

  removed(info: PodInfo, nodeName: string): void {
    for (const counter of this.counters.values()) apply(counter, info, nodeName, -1);
  }

  forgetDomains(): void {
    for (const { counts } of this.counters.values()) counts.forgetDomains();
  }

  /** What selections say may have changed: labels of namespaces. */
  clear(): void {
    this.counters.clear();
  }
}

function apply({ selection, counts }: Counter, { pod }: PodInfo, nodeName: string, sign: 1 | -1): void {
  if (!selection.countTerminating && pod.metadata.deletionTimestamp) return;
  if (selection.matches(pod)) counts.add(nodeName, sign);
}
