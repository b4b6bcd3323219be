import type { Job } from '@naru/api';
import { formatTime } from '@naru/foundation';
import type { Assessment } from './assess';
import { formatIndexes } from './indexes';
import { isIndexed } from './job-pod';
import type { Verdict } from './verdict';

export type JobStatus = NonNullable<Job['status']>;
type JobCondition = NonNullable<JobStatus['conditions']>[number];

export function isJobFinished(job: Job): boolean {
  return finishedCondition(job) !== undefined;
}

export function finishedCondition(job: Job): JobCondition | undefined {
  return job.status?.conditions?.find(
    ({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True',
  );
}

function withCondition(
  conditions: JobCondition[],
  wanted: Pick<JobCondition, 'type' | 'status'> & { reason: string; message: string },
  now: number,
): JobCondition[] {
  const known = conditions.find(({ type }) => type === wanted.type);
  if (known?.status === wanted.status) return conditions;
  const time = formatTime(now);
  return [
    ...conditions.filter(({ type }) => type !== wanted.type),
    { ...wanted, lastProbeTime: time, lastTransitionTime: time },
  ];
}

/** Nothing of the job is left to wait for: the final condition may be written. */
export function isSettled({ active, terminating, uncounted, release }: Assessment): boolean {
  const noted = uncounted.succeeded.length + uncounted.failed.length;
  return active.length === 0 && terminating === 0 && noted === 0 && release.length === 0;
}

/** The status to be written; `deleted` says how many of the active pods have just been deleted, `created` how many came. */
export function jobStatus(
  state: Assessment,
  verdict: Verdict | undefined,
  change: { created: number; deleted: number },
  now: number,
): JobStatus {
  const { job, counted, uncounted } = state;
  const { spec, status: old } = job;
  let conditions = old?.conditions ?? [];
  let startTime = old?.startTime;
  const suspension = conditions.find(({ type }) => type === 'Suspended');
  if (!verdict && spec?.suspend && !job.metadata.deletionTimestamp)
    conditions = withCondition(conditions, suspended('True', 'JobSuspended', 'Job suspended'), now);
  else if (!verdict && suspension?.status === 'True') {
    conditions = withCondition(conditions, suspended('False', 'JobResumed', 'Job resumed'), now);
    startTime = formatTime(now);
  }
  if (!startTime && !spec?.suspend) startTime = formatTime(now);
  if (verdict) {
    const { interim, reason, message } = verdict;
    conditions = withCondition(conditions, { type: interim, status: 'True', reason, message }, now);
    if (isSettled(state)) {
      const type = interim === 'SuccessCriteriaMet' ? 'Complete' : 'Failed';
      conditions = withCondition(conditions, { type, status: 'True', reason, message }, now);
    }
  }
  const complete = conditions.find(({ type, status }) => type === 'Complete' && status === 'True');
  const active = state.active.length + change.created - change.deleted;
  return {
    ...(conditions.length > 0 ? { conditions } : {}),
    ...(startTime ? { startTime } : {}),
    ...(complete ? { completionTime: old?.completionTime ?? complete.lastTransitionTime } : {}),
    ...(active > 0 ? { active } : {}),
    ...(counted.succeeded > 0 ? { succeeded: counted.succeeded } : {}),
    ...(counted.failed > 0 ? { failed: counted.failed } : {}),
    ready: Math.min(state.ready, active),
    terminating: state.terminating + change.deleted,
    uncountedTerminatedPods: {
      ...(uncounted.succeeded.length > 0 ? { succeeded: uncounted.succeeded } : {}),
      ...(uncounted.failed.length > 0 ? { failed: uncounted.failed } : {}),
    },
    ...(isIndexed(job) && state.succeededIndexes.length > 0
      ? { completedIndexes: formatIndexes(state.succeededIndexes) }
      : {}),
    ...(state.failedIndexes ? { failedIndexes: formatIndexes(state.failedIndexes) } : {}),
  };
}

function suspended(status: string, reason: string, message: string) {
  return { type: 'Suspended', status, reason, message };
}
