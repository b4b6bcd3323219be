import type { CronJob, Job, Stored } from '@naru/api';
import { finishedCondition } from '../job/status';

/** The finished jobs beyond the history limits, the oldest first. An absent limit keeps all. */
export function jobsToDelete({ spec }: CronJob, owned: readonly Stored<Job>[]): Stored<Job>[] {
  const ended = (type: string) => owned.filter(job => finishedCondition(job)?.type === type);
  return [
    ...beyond(ended('Complete'), spec?.successfulJobsHistoryLimit),
    ...beyond(ended('Failed'), spec?.failedJobsHistoryLimit),
  ];
}

function beyond(finished: Stored<Job>[], limit: number | undefined): Stored<Job>[] {
  if (limit === undefined) return [];
  const startOf = (job: Stored<Job>): string => job.status?.startTime ?? job.metadata.creationTimestamp ?? '';
  const sorted = finished
    .filter(({ metadata }) => !metadata.deletionTimestamp)
    .sort((a, b) => (startOf(a) < startOf(b) ? -1 : 1));
  return sorted.slice(0, Math.max(0, sorted.length - limit));
}
