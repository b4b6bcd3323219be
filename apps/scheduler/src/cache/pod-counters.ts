import type { Pod } from '@naru/api';
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
  byNode: Map<string, number>;
}

/** How many selections are kept up to date; the one unused for longest is dropped. */
const maxCounters = 256;

/**
 * How many pods of a selection each node has. A selection is counted in full when it is first asked for and then kept up
 * to date by each pod that comes and goes: spreading the thousandth pod of a Deployment does not look at the other 999.
 */
export class PodCounters {
  private readonly counters = new Map<string, Counter>();

  constructor(private readonly allPods: () => Iterable<{ info: PodInfo; nodeName: string }>) {}

  /** Node name → count; nodes without such pods are absent. Do not change it. */
  count(selection: PodSelection): ReadonlyMap<string, number> {
    let counter = this.counters.get(selection.id);
    if (counter) this.counters.delete(selection.id);
    else {
      counter = { selection, byNode: new Map() };
      for (const { info, nodeName } of this.allPods()) apply(counter, info, nodeName, 1);
      if (this.counters.size >= maxCounters) this.counters.delete(this.counters.keys().next().value as string);
    }
    // Moved to the end: the map is in order of last use.
    this.counters.set(selection.id, counter);
    return counter.byNode;
  }

  added(info: PodInfo, nodeName: string): void {
    for (const counter of this.counters.values()) apply(counter, info, nodeName, 1);
  }

  removed(info: PodInfo, nodeName: string): void {
    for (const counter of this.counters.values()) apply(counter, info, nodeName, -1);
  }

  /** What selections say may have changed: labels of namespaces. */
  clear(): void {
    this.counters.clear();
  }
}

function apply({ selection, byNode }: Counter, { pod }: PodInfo, nodeName: string, sign: 1 | -1): void {
  if (!selection.countTerminating && pod.metadata.deletionTimestamp) return;
  if (!selection.matches(pod)) return;
  const count = (byNode.get(nodeName) ?? 0) + sign;
  if (count > 0) byNode.set(nodeName, count);
  else byNode.delete(nodeName);
}
