import type { Job, Pod, PodTemplateSpec, Stored } from '@naru/api';
import { podPrefix } from '../../pods/pod-control';
import { podCondition } from '../../pods/pod-state';

export const trackingFinalizer = 'batch.kubernetes.io/job-tracking';
export const indexKey = 'batch.kubernetes.io/job-completion-index';
export const failuresKey = 'batch.kubernetes.io/job-index-failure-count';
export const ignoredFailuresKey = 'batch.kubernetes.io/job-index-ignored-failure-count';

export function isIndexed(job: Job): boolean {
  return job.spec?.completionMode === 'Indexed';
}

/** Only a pod that has failed for good is replaced; not one that is still terminating. */
export function replacesOnlyFailed(job: Job): boolean {
  return job.spec?.podReplacementPolicy === 'Failed';
}

export function isTracked(pod: Pod): boolean {
  return pod.metadata?.finalizers?.includes(trackingFinalizer) ?? false;
}

/** The completion index, or undefined when the pod has none. */
export function indexOf(pod: Pod): number | undefined {
  const text = pod.metadata?.annotations?.[indexKey];
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

/** How often the pods of this index had failed before this one. */
export function failuresBefore(pod: Pod): number {
  return Number(pod.metadata?.annotations?.[failuresKey] ?? 0) || 0;
}

export function ignoredFailuresBefore(pod: Pod): number {
  return Number(pod.metadata?.annotations?.[ignoredFailuresKey] ?? 0) || 0;
}

export function isSucceeded(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded';
}

/** Pods on their way out count too, as orphans may never get to the phase Failed. Source: job.isPodFailed. */
export function isFailed(pod: Pod, job: Job): boolean {
  const phase = pod.status?.phase;
  if (phase === 'Failed') return true;
  if (!pod.metadata?.deletionTimestamp) return false;
  return replacesOnlyFailed(job) ? !phase || phase === 'Pending' : phase !== 'Succeeded';
}

/** Milliseconds since the epoch at which a finished pod ended. */
export function finishTime(pod: Pod): number {
  const ends = (pod.status?.containerStatuses ?? []).map(({ state, lastState }) =>
    Date.parse(state?.terminated?.finishedAt ?? lastState?.terminated?.finishedAt ?? ''),
  );
  const known = ends.filter(end => !Number.isNaN(end));
  if (known.length > 0) return Math.max(...known);
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, creationTimestamp } = pod.metadata ?? {};
  if (deletionTimestamp) return Date.parse(deletionTimestamp) - (deletionGracePeriodSeconds ?? 0) * 1000;
  return Date.parse(podCondition(pod, 'Ready')?.lastTransitionTime ?? creationTimestamp ?? '') || 0;
}

/** How a draft of a job's pod is completed; `last` is the failed pod that it replaces. */
export function prepareJobPod(
  job: Stored<Job>,
  index: number | undefined,
  last: { failures: number; ignored: number } | undefined,
): (draft: Pod) => void {
  return draft => {
    const metadata = (draft.metadata ??= {});
    metadata.finalizers = [...(metadata.finalizers ?? []), trackingFinalizer];
    if (index === undefined) return;
    metadata.generateName = podPrefix(`${job.metadata.name}-${index}`);
    metadata.annotations = { ...metadata.annotations, [indexKey]: String(index) };
    metadata.labels = { ...metadata.labels, [indexKey]: String(index) };
    if (job.spec?.backoffLimitPerIndex !== undefined) {
      metadata.annotations[failuresKey] = String(last?.failures ?? 0);
      if (last?.ignored) metadata.annotations[ignoredFailuresKey] = String(last.ignored);
    }
    if (!draft.spec) return;
    draft.spec.hostname = `${job.metadata.name}-${index}`;
    draft.spec.containers = draft.spec.containers.map(withIndexVariable);
    if (draft.spec.initContainers) draft.spec.initContainers = draft.spec.initContainers.map(withIndexVariable);
  };
}

type Container = NonNullable<PodTemplateSpec['spec']>['containers'][number];
const indexVariable = 'JOB_COMPLETION_INDEX';

function withIndexVariable(container: Container): Container {
  if (container.env?.some(({ name }) => name === indexVariable)) return container;
  const fieldRef = { fieldPath: `metadata.labels['${indexKey}']` };
  return { ...container, env: [...(container.env ?? []), { name: indexVariable, valueFrom: { fieldRef } }] };
}
