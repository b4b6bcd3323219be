import type { Job, Pod } from '@naru/api';
import type { Assessment } from './assess';
import { countCommon, countIndexes, parseIndexes } from './indexes';
import { isIndexed } from './job-pod';

/** How a job ends. It is noted first as the interim condition, and as the final one when its pods are gone. */
export interface Verdict {
  interim: 'SuccessCriteriaMet' | 'FailureTarget';
  reason: string;
  message: string;
}

const failure = (reason: string, message: string): Verdict => ({ interim: 'FailureTarget', reason, message });

/** Undefined while the job goes on. Source: the order of checks in job.syncJob. */
export function judgeJob(state: Assessment, now: number): Verdict | undefined {
  return known(state.job) ?? judgeFailures(state, now) ?? judgeIndexes(state) ?? judgeSuccess(state);
}

function known({ status }: Job): Verdict | undefined {
  for (const interim of ['SuccessCriteriaMet', 'FailureTarget'] as const) {
    const condition = status?.conditions?.find(({ type, status: value }) => type === interim && value === 'True');
    if (condition) return { interim, reason: condition.reason ?? '', message: condition.message ?? '' };
  }
  return undefined;
}

function judgeFailures(state: Assessment, now: number): Verdict | undefined {
  const { job, failed, fatal } = state;
  if (fatal) return failure('PodFailurePolicy', fatal);
  const limit = job.spec?.backoffLimit ?? 6;
  if ((state.newFailures && failed > limit) || restartsExceed(job, state.active, limit))
    return failure('BackoffLimitExceeded', 'Job has reached the specified backoff limit');
  const left = deadlineInMs(job, now);
  if (left !== undefined && left <= 0)
    return failure('DeadlineExceeded', 'Job was active longer than specified deadline');
  return undefined;
}

/** Containers that are restarted in place count by their restarts. */
function restartsExceed(job: Job, active: readonly Pod[], limit: number): boolean {
  if (job.spec?.template.spec?.restartPolicy !== 'OnFailure') return false;
  let restarts = 0;
  for (const { status } of active) {
    for (const { restartCount } of [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])])
      restarts += restartCount;
  }
  return limit === 0 ? restarts > 0 : restarts >= limit;
}

/** What is left of activeDeadlineSeconds; undefined without one and while suspended. */
export function deadlineInMs(job: Job, now: number): number | undefined {
  const { activeDeadlineSeconds, suspend } = job.spec ?? {};
  if (activeDeadlineSeconds === undefined || suspend || !job.status?.startTime) return undefined;
  return Date.parse(job.status.startTime) + activeDeadlineSeconds * 1000 - now;
}

function judgeIndexes({ job, failedIndexes, succeeded, succeededIndexes }: Assessment): Verdict | undefined {
  if (!isIndexed(job)) return undefined;
  if (failedIndexes) {
    const failed = countIndexes(failedIndexes);
    const { maxFailedIndexes, completions = 0 } = job.spec ?? {};
    if (maxFailedIndexes !== undefined && failed > maxFailedIndexes)
      return failure('MaxFailedIndexesExceeded', 'Job has exceeded the specified maximal number of failed indexes');
    if (failed > 0 && failed + succeeded >= completions) return failure('FailedIndexes', 'Job has failed indexes');
  }
  for (const [at, rule] of (job.spec?.successPolicy?.rules ?? []).entries()) {
    const { succeededIndexes: wanted, succeededCount } = rule;
    const limit = parseIndexes(wanted, job.spec?.completions);
    const reached = wanted === undefined ? succeeded : countCommon(succeededIndexes, limit);
    if (reached >= (succeededCount ?? countIndexes(limit)))
      return { interim: 'SuccessCriteriaMet', reason: 'SuccessPolicy', message: `Matched rules at index ${at}` };
  }
  return undefined;
}

function judgeSuccess({ job, succeeded, active }: Assessment): Verdict | undefined {
  const { completions } = job.spec ?? {};
  const complete = completions === undefined ? succeeded > 0 && active.length === 0 : succeeded >= completions;
  if (!complete || (completions === 0 && job.spec?.suspend)) return undefined;
  return {
    interim: 'SuccessCriteriaMet',
    reason: 'CompletionsReached',
    message: 'Reached expected number of succeeded pods',
  };
}
