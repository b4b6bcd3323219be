import {
  compileLabelSelector,
  deployments,
  podDisruptionBudgets,
  pods,
  replicaSets,
  replicationControllers,
  statefulSets,
  type Pod,
  type PodDisruptionBudget,
  type Stored,
} from '@naru/api';
import { objectKey, parseKey, type ReconcileResult } from '@naru/client';
import { equalJson } from '../../framework/canonical';
import { watch, type Controller, type ControllerDeps } from '../../framework/controller';
import type { ClusterInformers } from '../../framework/informers';
import { isPodReady } from '../../pods/pod-state';
import { budgetStatus, countHealthy, demandOf, pendingDisruptions, type Judgement } from './budget';
import { expectedScale } from './expected-scale';

async function reconcile(key: string, deps: ControllerDeps): Promise<ReconcileResult> {
  const { informers, client, clock } = deps;
  const budget = informers.lister(podDisruptionBudgets).get(parseKey(key));
  if (!budget || budget.metadata.deletionTimestamp) return undefined;
  const matches = compileLabelSelector(budget.spec?.selector);
  const selected = informers
    .lister(pods)
    .list(budget.metadata.namespace)
    .filter(pod => matches(pod.metadata.labels) && !isEnded(pod));
  const now = clock.now();
  const { disrupted, nextMs } = pendingDisruptions(budget.status, selected, now);
  const status = budgetStatus(budget, judge(informers, budget, selected, disrupted), now);
  if (!equalJson(status, budget.status)) {
    // The version guards evictions that were allowed meanwhile.
    await client.update(podDisruptionBudgets, { ...budget, status }, { subresource: 'status' });
  }
  return nextMs === undefined ? undefined : { requeueAfterMs: nextMs + 1 };
}

function isEnded({ status }: Pod): boolean {
  return status?.phase === 'Succeeded' || status?.phase === 'Failed';
}

function judge(
  informers: ClusterInformers,
  budget: Stored<PodDisruptionBudget>,
  selected: Stored<Pod>[],
  disrupted: Record<string, string>,
): Judgement {
  const currentHealthy = countHealthy(selected, disrupted);
  try {
    const demand = demandOf(budget, selected.length, () => expectedScale(informers, selected));
    return { ...demand, currentHealthy, disrupted };
  } catch (error) {
    const failure = (error as Error).message;
    return { expected: 0, desiredHealthy: 0, currentHealthy, disrupted, failure };
  }
}

/** The budgets that select a pod. */
function keysOfPod(informers: ClusterInformers): (pod: Stored<Pod>) => string[] {
  const budgets = informers.lister(podDisruptionBudgets);
  return ({ metadata }) =>
    budgets
      .list(metadata.namespace)
      .filter(({ spec }) => compileLabelSelector(spec?.selector)(metadata.labels))
      .map(budget => objectKey(budget));
}

function changesHealth(pod: Stored<Pod>, old: Stored<Pod>): boolean {
  return (
    isPodReady(pod) !== isPodReady(old) ||
    isEnded(pod) !== isEnded(old) ||
    pod.metadata.deletionTimestamp !== old.metadata.deletionTimestamp ||
    !equalJson(pod.metadata.labels, old.metadata.labels) ||
    !equalJson(pod.metadata.ownerReferences, old.metadata.ownerReferences)
  );
}

/** Says in the status of each PodDisruptionBudget how many pods may be evicted now. */
export const disruptionController: Controller = {
  name: 'disruption-controller',
  eventSource: 'controllermanager',
  watches: ({ informers }) => {
    const ofNamespace = ({ metadata }: Stored<object>): string[] =>
      informers
        .lister(podDisruptionBudgets)
        .list(metadata.namespace)
        .map(budget => objectKey(budget));
    const relevant = (a: { spec?: { replicas?: number | undefined } | undefined }, b: typeof a): boolean =>
      a.spec?.replicas !== b.spec?.replicas;
    return [
      watch(podDisruptionBudgets, budget => [objectKey(budget)]),
      watch(pods, keysOfPod(informers), { relevant: changesHealth }),
      watch(deployments, ofNamespace, { relevant }),
      watch(replicaSets, ofNamespace, { relevant }),
      watch(statefulSets, ofNamespace, { relevant }),
      watch(replicationControllers, ofNamespace, { relevant }),
    ];
  },
  build: deps => ({ reconcile: key => reconcile(key, deps) }),
};
