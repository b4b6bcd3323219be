import { compileLabelSelector, type PodDisruptionBudget, type Stored } from '@naru/api';
import type { PodInfo } from '../cache/pod-info';

/** What the disruption budgets allow at the moment. */
export class Budgets {
  constructor(private readonly list: (namespace: string | undefined) => readonly Stored<PodDisruptionBudget>[]) {}

  /** Sorts out the pods whose disruption, one after the other, would exceed a budget. Keeps the order. */
  split(pods: readonly PodInfo[]): { violating: PodInfo[]; allowed: PodInfo[] } {
    const spent = new Map<string, number>();
    const violating: PodInfo[] = [];
    const allowed: PodInfo[] = [];
    for (const info of pods) (this.spend(info, spent) ? allowed : violating).push(info);
    return { violating, allowed };
  }

  private spend({ pod }: PodInfo, spent: Map<string, number>): boolean {
    const { labels, namespace, name } = pod.metadata;
    if (!labels || Object.keys(labels).length === 0) return true;
    let fits = true;
    for (const { metadata, spec, status } of this.list(namespace)) {
      const { matchLabels = {}, matchExpressions = [] } = spec?.selector ?? {};
      // As upstream: here an empty selector selects nothing.
      if (Object.keys(matchLabels).length + matchExpressions.length === 0) continue;
      if (!compileLabelSelector(spec?.selector)(labels)) continue;
      // Its disruption is allowed and counted already.
      if (status?.disruptedPods && name in status.disruptedPods) continue;
      const count = (spent.get(metadata.uid) ?? 0) + 1;
      spent.set(metadata.uid, count);
      if (count > (status?.disruptionsAllowed ?? 0)) fits = false;
    }
    return fits;
  }
}
