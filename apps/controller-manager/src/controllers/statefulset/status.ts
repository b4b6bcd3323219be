import type { StatefulSet } from '@naru/api';
import { isPodAvailable, isPodReady } from '../../pods/pod-state';
import { revisionOfPod } from './identity';
import { isLeaving, type SetView } from './plan';

export type StatefulSetStatus = NonNullable<StatefulSet['status']>;

/** Over the pods of the set as they are after what was just done. */
export function statefulSetStatus(view: SetView, collisionCount: number | undefined): StatefulSetStatus {
  const { set, pods, now, updateRevision } = view;
  const staying = pods.filter(pod => !isLeaving(view, pod));
  const running = pods.filter(pod => pod.status?.phase === 'Running' && isPodReady(pod));
  const minReadySeconds = set.spec?.minReadySeconds ?? 0;
  const of = (revision: string): number => staying.filter(pod => revisionOfPod(pod) === revision).length;
  let { currentRevision } = view;
  const updated = of(updateRevision);
  const rolling = set.spec?.updateStrategy?.type !== 'OnDelete';
  if (rolling && updated === pods.length && running.length === pods.length) currentRevision = updateRevision;
  const current = of(currentRevision);
  return {
    replicas: pods.length,
    ...(running.length > 0 ? { readyReplicas: running.length } : {}),
    availableReplicas: running.filter(pod => isPodAvailable(pod, minReadySeconds, now)).length,
    ...(current > 0 ? { currentReplicas: current } : {}),
    ...(updated > 0 ? { updatedReplicas: updated } : {}),
    currentRevision,
    updateRevision,
    observedGeneration: set.metadata.generation,
    collisionCount: collisionCount ?? 0,
    ...(set.status?.conditions ? { conditions: set.status.conditions } : {}),
  };
}
