import type { Deployment, ReplicaSet, Stored } from '@naru/api';
import { formatTime } from '@naru/foundation';
import { desiredOf, resolveFenceposts } from './rolling-update';

export type DeploymentStatus = NonNullable<Deployment['status']>;
export type DeploymentCondition = NonNullable<DeploymentStatus['conditions']>[number];

const noDeadline = 2147483647;

export function progressDeadlineMs(deployment: Deployment): number | undefined {
  const seconds = deployment.spec?.progressDeadlineSeconds ?? 600;
  return seconds === noDeadline ? undefined : seconds * 1000;
}

export function conditionOf(status: DeploymentStatus | undefined, type: string): DeploymentCondition | undefined {
  return status?.conditions?.find(condition => condition.type === type);
}

export interface ConditionInput {
  type: 'Available' | 'Progressing' | 'ReplicaFailure';
  status: 'True' | 'False' | 'Unknown';
  reason: string;
  message: string;
}

/** Sets a condition in place. The same status and reason leave it alone, unless `refresh`: then lastUpdateTime moves. */
export function setCondition(status: DeploymentStatus, input: ConditionInput, now: number, refresh = false): void {
  const known = conditionOf(status, input.type);
  if (known && !refresh && known.status === input.status && known.reason === input.reason) return;
  const time = formatTime(now);
  const lastTransitionTime = known?.status === input.status ? known.lastTransitionTime : time;
  const others = (status.conditions ?? []).filter(({ type }) => type !== input.type);
  status.conditions = [...others, { ...input, lastUpdateTime: time, lastTransitionTime }];
}

export function removeCondition(status: DeploymentStatus, type: string): void {
  status.conditions = (status.conditions ?? []).filter(condition => condition.type !== type);
}

function total(sets: readonly ReplicaSet[], field: 'replicas' | 'readyReplicas' | 'availableReplicas'): number {
  return sets.reduce((sum, set) => sum + (set.status?.[field] ?? 0), 0);
}

/** Numbers and the Available condition. Source: upstream's calculateStatus. */
export function calculateStatus(
  deployment: Deployment,
  sets: readonly ReplicaSet[],
  newSet: ReplicaSet | undefined,
  now: number,
): DeploymentStatus {
  const availableReplicas = total(sets, 'availableReplicas');
  const replicas = total(sets, 'replicas');
  const { collisionCount, conditions } = deployment.status ?? {};
  const status: DeploymentStatus = {
    observedGeneration: deployment.metadata?.generation,
    replicas,
    updatedReplicas: newSet?.status?.replicas ?? 0,
    readyReplicas: total(sets, 'readyReplicas'),
    availableReplicas,
    unavailableReplicas: Math.max(0, sets.reduce((sum, set) => sum + (set.spec?.replicas ?? 1), 0) - availableReplicas),
    ...(collisionCount === undefined ? {} : { collisionCount }),
    conditions: [...(conditions ?? [])],
  };
  const enough = availableReplicas >= desiredOf(deployment) - resolveFenceposts(deployment).maxUnavailable;
  setCondition(
    status,
    enough
      ? {
          type: 'Available',
          status: 'True',
          reason: 'MinimumReplicasAvailable',
          message: 'Deployment has minimum availability.',
        }
      : {
          type: 'Available',
          status: 'False',
          reason: 'MinimumReplicasUnavailable',
          message: 'Deployment does not have minimum availability.',
        },
    now,
  );
  return status;
}

/** All replicas are of the new template and available, and nothing of the old ones is left. */
export function isComplete(deployment: Deployment, status: DeploymentStatus): boolean {
  const desired = desiredOf(deployment);
  return (
    status.updatedReplicas === desired &&
    status.replicas === desired &&
    status.availableReplicas === desired &&
    (status.observedGeneration ?? 0) >= (deployment.metadata?.generation ?? 0)
  );
}

function hasProgressed(old: DeploymentStatus | undefined, next: DeploymentStatus): boolean {
  const grew = (field: 'updatedReplicas' | 'readyReplicas' | 'availableReplicas'): boolean =>
    (next[field] ?? 0) > (old?.[field] ?? 0);
  const oldOnes = (status: DeploymentStatus | undefined): number =>
    (status?.replicas ?? 0) - (status?.updatedReplicas ?? 0);
  return grew('updatedReplicas') || oldOnes(next) < oldOnes(old) || grew('readyReplicas') || grew('availableReplicas');
}

function hasTimedOut(deployment: Deployment, deadlineMs: number, now: number): boolean {
  const known = conditionOf(deployment.status, 'Progressing');
  if (!known || known.reason === 'NewReplicaSetAvailable') return false;
  if (known.reason === 'ProgressDeadlineExceeded') return true;
  return now > Date.parse(known.lastUpdateTime ?? '') + deadlineMs;
}

/** Sets Progressing and ReplicaFailure in place. Source: upstream's syncRolloutStatus. */
export function judgeProgress(
  deployment: Deployment,
  status: DeploymentStatus,
  sets: readonly Stored<ReplicaSet>[],
  newSet: Stored<ReplicaSet> | undefined,
  now: number,
): void {
  const deadlineMs = progressDeadlineMs(deployment);
  const known = conditionOf(deployment.status, 'Progressing');
  const wasComplete = status.replicas === status.updatedReplicas && known?.reason === 'NewReplicaSetAvailable';
  if (deadlineMs === undefined) removeCondition(status, 'Progressing');
  else if (!wasComplete) {
    const subject = newSet ? `ReplicaSet "${newSet.metadata.name}"` : `Deployment "${deployment.metadata?.name ?? ''}"`;
    const progressing = (value: 'True' | 'False', reason: string, words: string, refresh: boolean): void =>
      setCondition(
        status,
        { type: 'Progressing', status: value, reason, message: `${subject} ${words}` },
        now,
        refresh,
      );
    if (isComplete(deployment, status))
      progressing('True', 'NewReplicaSetAvailable', 'has successfully progressed.', false);
    else if (hasProgressed(deployment.status, status))
      progressing('True', 'ReplicaSetUpdated', 'is progressing.', true);
    else if (hasTimedOut(deployment, deadlineMs, now))
      progressing('False', 'ProgressDeadlineExceeded', 'has timed out progressing.', false);
  }
  const failure = sets
    .flatMap(set => set.status?.conditions ?? [])
    .find(({ type, status: value }) => type === 'ReplicaFailure' && value === 'True');
  if (failure)
    setCondition(
      status,
      { type: 'ReplicaFailure', status: 'True', reason: failure.reason ?? '', message: failure.message ?? '' },
      now,
    );
  else removeCondition(status, 'ReplicaFailure');
}

/** When the progress deadline will pass, if nothing happens until then. */
export function deadlineInMs(deployment: Deployment, status: DeploymentStatus, now: number): number | undefined {
  const deadlineMs = progressDeadlineMs(deployment);
  const known = conditionOf(status, 'Progressing');
  if (deadlineMs === undefined || !known || isComplete(deployment, status)) return undefined;
  if (known.reason === 'ProgressDeadlineExceeded' || known.reason === 'NewReplicaSetAvailable') return undefined;
  return Math.max(0, Date.parse(known.lastUpdateTime ?? '') + deadlineMs - now) + 1000;
}
