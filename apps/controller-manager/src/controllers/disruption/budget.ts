import { scaledIntOrPercent, type Pod, type PodDisruptionBudget, type Stored } from '@naru/api';
import { formatTime } from '@naru/foundation';
import { isPodReady } from '../../pods/pod-state';

export type BudgetStatus = NonNullable<PodDisruptionBudget['status']>;
type Disrupted = Record<string, string>;

/** An eviction that has been allowed and after this long has not deleted its pod does not count any more. */
export const disruptionTimeoutMs = 2 * 60_000;

/** How many pods the budget is about, and how many of them must be healthy; `scale` counts what their controllers want. */
export function demandOf(
  { spec }: PodDisruptionBudget,
  pods: number,
  scale: () => number,
): { expected: number; desiredHealthy: number } {
  if (spec?.maxUnavailable !== undefined) {
    const expected = scale();
    return {
      expected,
      desiredHealthy: Math.max(0, expected - scaledIntOrPercent(spec.maxUnavailable, expected, true)),
    };
  }
  if (typeof spec?.minAvailable === 'number') return { expected: pods, desiredHealthy: spec.minAvailable };
  if (spec?.minAvailable === undefined) return { expected: pods, desiredHealthy: 0 };
  const expected = scale();
  return { expected, desiredHealthy: scaledIntOrPercent(spec.minAvailable, expected, true) };
}

/** Evictions that were allowed and whose pods are not on their way out yet. */
export function pendingDisruptions(
  status: BudgetStatus | undefined,
  pods: readonly Stored<Pod>[],
  now: number,
): { disrupted: Disrupted; nextMs: number | undefined } {
  const byName = new Map(pods.map(pod => [pod.metadata.name, pod]));
  const disrupted: Disrupted = {};
  let nextMs: number | undefined;
  for (const [name, time] of Object.entries((status?.disruptedPods ?? {}) as unknown as Disrupted)) {
    const pod = byName.get(name);
    const left = Date.parse(time) + disruptionTimeoutMs - now;
    if (!pod || pod.metadata.deletionTimestamp || left <= 0) continue;
    disrupted[name] = time;
    nextMs = Math.min(left, nextMs ?? Infinity);
  }
  return { disrupted, nextMs };
}

export function countHealthy(pods: readonly Stored<Pod>[], disrupted: Disrupted): number {
  return pods.filter(pod => !pod.metadata.deletionTimestamp && !(pod.metadata.name in disrupted) && isPodReady(pod))
    .length;
}

export interface Judgement {
  expected: number;
  desiredHealthy: number;
  currentHealthy: number;
  disrupted: Disrupted;
  /** Why the pods cannot be counted. */
  failure?: string;
}

export function budgetStatus(budget: Stored<PodDisruptionBudget>, judgement: Judgement, now: number): BudgetStatus {
  const { expected, desiredHealthy, currentHealthy, disrupted, failure } = judgement;
  const allowed = failure === undefined && expected > 0 ? Math.max(0, currentHealthy - desiredHealthy) : 0;
  const { generation } = budget.metadata;
  const outcome = failure !== undefined ? 'SyncFailed' : allowed > 0 ? 'SufficientPods' : 'InsufficientPods';
  const known = budget.status?.conditions?.find(({ type }) => type === 'DisruptionAllowed');
  const status = allowed > 0 ? 'True' : 'False';
  const condition = {
    type: 'DisruptionAllowed',
    status,
    reason: outcome,
    message: failure ?? '',
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    lastTransitionTime: known?.status === status ? known.lastTransitionTime : formatTime(now),
  };
  const others = (budget.status?.conditions ?? []).filter(({ type }) => type !== 'DisruptionAllowed');
  return {
    disruptionsAllowed: allowed,
    currentHealthy,
    desiredHealthy,
    expectedPods: expected,
    ...(Object.keys(disrupted).length > 0 ? { disruptedPods: disrupted as never } : {}),
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    conditions: [...others, condition],
  };
}
