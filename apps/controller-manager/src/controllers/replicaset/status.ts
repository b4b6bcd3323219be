import { compileLabelMap, type Pod, type ReplicaSet, type ReplicationController } from '@naru/api';
import { formatTime } from '@naru/foundation';
import { isPodAvailable, isPodReady } from '../../pods/pod-state';

export type ReplicaSetStatus = NonNullable<ReplicaSet['status']>;

/** The status of a ReplicaSet over its active pods; `failure` is what kept it from creating or deleting pods. */
export function replicaSetStatus(
  set: ReplicaSet | ReplicationController,
  active: readonly Pod[],
  failure: { reason: 'FailedCreate' | 'FailedDelete'; message: string } | undefined,
  now: number,
): ReplicaSetStatus {
  const matchesTemplate = compileLabelMap(set.spec?.template?.metadata?.labels ?? {});
  const minReadySeconds = set.spec?.minReadySeconds ?? 0;
  const others = (set.status?.conditions ?? []).filter(({ type }) => type !== 'ReplicaFailure');
  const known = set.status?.conditions?.find(({ type }) => type === 'ReplicaFailure');
  const conditions = failure
    ? [
        ...others,
        {
          type: 'ReplicaFailure',
          status: 'True',
          ...failure,
          lastTransitionTime: known?.reason === failure.reason ? known.lastTransitionTime : formatTime(now),
        },
      ]
    : others;
  return {
    replicas: active.length,
    fullyLabeledReplicas: active.filter(pod => matchesTemplate(pod.metadata?.labels)).length,
    readyReplicas: active.filter(isPodReady).length,
    availableReplicas: active.filter(pod => isPodAvailable(pod, minReadySeconds, now)).length,
    observedGeneration: set.metadata?.generation,
    ...(conditions.length > 0 ? { conditions } : {}),
  };
}

/** Equal, where an absent number is zero. */
export function sameReplicaSetStatus(a: ReplicaSetStatus | undefined, b: ReplicaSetStatus): boolean {
  const numbers = [
    'replicas',
    'fullyLabeledReplicas',
    'readyReplicas',
    'availableReplicas',
    'observedGeneration',
  ] as const;
  return (
    numbers.every(name => (a?.[name] ?? 0) === (b[name] ?? 0)) &&
    JSON.stringify(a?.conditions ?? []) === JSON.stringify(b.conditions ?? [])
  );
}
