import { cronJobs, jobs, type CronJob, type Job, type Stored } from '@naru/api';
import { objectKey, parseKey, type EventInput, type ReconcileResult } from '@naru/client';
import { formatTime, isReason } from '@naru/foundation';
import { equalJson } from '../../framework/canonical';
import { watch, type Controller, type ControllerDeps } from '../../framework/controller';
import { controllerOf, controllerReference, ownerKeys, withKind } from '../../framework/owner';
import { finishedCondition, isJobFinished } from '../job/status';
import { jobsToDelete } from './history';
import { missedTimes } from './missed';
import { parseSchedule, type Schedule } from './schedule';
import { wallClock } from './wall-clock';

type CronJobStatus = NonNullable<CronJob['status']>;
type JobReference = NonNullable<CronJobStatus['active']>[number];

/** A little after the minute has begun, so that the clock has surely passed it. */
const slackMs = 100;

class CronJobReconciler {
  constructor(private readonly deps: ControllerDeps) {}

  async reconcile(key: string): Promise<ReconcileResult> {
    const cronJob = this.deps.informers.lister(cronJobs).get(parseKey(key));
    if (!cronJob) return undefined;
    const owned = this.deps.informers.lister(jobs).byIndex('owner', cronJob.metadata.uid);
    const status: CronJobStatus = { ...cronJob.status };
    const active = await this.followJobs(cronJob, status, owned);
    await this.prune(cronJob, owned);
    const result = cronJob.metadata.deletionTimestamp ? undefined : await this.schedule(cronJob, status, active);
    await this.write(cronJob, status);
    return result;
  }

  /** Takes finished jobs off the list of active ones. Answers the jobs that are active. */
  private async followJobs(
    cronJob: Stored<CronJob>,
    status: CronJobStatus,
    owned: readonly Stored<Job>[],
  ): Promise<Stored<Job>[]> {
    const byUid = new Map(owned.map(job => [job.metadata.uid, job]));
    const kept: JobReference[] = [];
    const active: Stored<Job>[] = [];
    for (const reference of status.active ?? []) {
      const job = byUid.get(reference.uid ?? '') ?? (await this.ask(reference));
      if (!job) this.tell(cronJob, 'Normal', 'MissingJob', `Active job went missing: ${reference.name}`);
      else if (isJobFinished(job)) this.tellCompletion(cronJob, job);
      else {
        kept.push(reference);
        active.push(job);
      }
    }
    setActive(status, kept);
    for (const job of owned) {
      const end = finishedCondition(job);
      const completed = end?.type === 'Complete' ? job.status?.completionTime : undefined;
      if (completed && completed > (status.lastSuccessfulTime ?? '')) status.lastSuccessfulTime = completed;
    }
    return active;
  }

  private tellCompletion(cronJob: Stored<CronJob>, job: Stored<Job>): void {
    const message = `Saw completed job: ${job.metadata.name}, condition: ${finishedCondition(job)?.type ?? ''}`;
    this.tell(cronJob, 'Normal', 'SawCompletedJob', message);
  }

  /** A job that was just created may not be in the local copy yet. */
  private async ask({ namespace, name, uid }: JobReference): Promise<Stored<Job> | undefined> {
    try {
      const job = await this.deps.client.get(jobs, { namespace, name: name ?? '' });
      return job.metadata.uid === uid ? job : undefined;
    } catch (error) {
      if (isReason(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  private async prune(cronJob: Stored<CronJob>, owned: readonly Stored<Job>[]): Promise<void> {
    for (const job of jobsToDelete(cronJob, owned)) await this.delete(cronJob, job);
  }

  private async delete(cronJob: Stored<CronJob>, { metadata }: Stored<Job>): Promise<void> {
    const { namespace, name, uid } = metadata;
    const options = { propagationPolicy: 'Background', preconditions: { uid } } as const;
    try {
      await this.deps.client.delete(jobs, { namespace, name }, options);
      this.tell(cronJob, 'Normal', 'SuccessfulDelete', `Deleted job ${name}`);
    } catch (error) {
      if (!isReason(error, 'NotFound', 'Conflict')) throw error;
    }
  }

  private async schedule(
    cronJob: Stored<CronJob>,
    status: CronJobStatus,
    active: readonly Stored<Job>[],
  ): Promise<ReconcileResult> {
    if (cronJob.spec?.suspend) return undefined;
    const schedule = this.readSchedule(cronJob);
    if (!schedule) return undefined;
    const now = this.deps.clock.now();
    const due = this.dueTime(cronJob, schedule, now);
    if (due !== undefined && this.mayStart(cronJob, active, due, now)) {
      if (cronJob.spec?.concurrencyPolicy === 'Replace') {
        for (const job of active) await this.delete(cronJob, job);
        setActive(status, []);
      }
      await this.start(cronJob, status, due);
    }
    const next = schedule.next(now);
    return next === undefined ? undefined : { requeueAfterMs: next - now + slackMs };
  }

  private readSchedule(cronJob: Stored<CronJob>): Schedule | undefined {
    const { schedule = '', timeZone } = cronJob.spec ?? {};
    try {
      return parseSchedule(schedule, wallClock(timeZone ?? undefined));
    } catch (error) {
      const reason = error instanceof RangeError ? 'UnknownTimeZone' : 'UnparseableSchedule';
      const message =
        error instanceof RangeError
          ? `invalid timeZone: "${timeZone ?? ''}": unknown time zone ${timeZone ?? ''}`
          : `unparseable schedule: "${schedule}" : ${(error as Error).message}`;
      this.tell(cronJob, 'Warning', reason, message);
      return undefined;
    }
  }

  /** The latest time that has come and for which no job was started yet. */
  private dueTime(cronJob: Stored<CronJob>, schedule: Schedule, now: number): number | undefined {
    const { creationTimestamp = '' } = cronJob.metadata;
    const since = Date.parse(cronJob.status?.lastScheduleTime ?? creationTimestamp) || 0;
    const deadline = cronJob.spec?.startingDeadlineSeconds;
    const earliest = deadline === undefined ? since : Math.max(since, now - deadline * 1000);
    const { latest, tooMany } = missedTimes(schedule, earliest, now);
    if (tooMany) {
      const message = 'too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew';
      this.tell(cronJob, 'Warning', 'TooManyMissedTimes', message);
    }
    return latest;
  }

  private mayStart(cronJob: Stored<CronJob>, active: readonly Stored<Job>[], due: number, now: number): boolean {
    const { startingDeadlineSeconds: deadline, concurrencyPolicy } = cronJob.spec ?? {};
    if (deadline !== undefined && due + deadline * 1000 < now) {
      const when = new Date(due).toUTCString();
      this.tell(cronJob, 'Warning', 'MissSchedule', `Missed scheduled time to start a job: ${when}`);
      return false;
    }
    if (active.some(({ metadata }) => metadata.name === jobName(cronJob, due))) return false;
    if (concurrencyPolicy !== 'Forbid' || active.length === 0) return true;
    const message = 'Not starting job because prior execution is running and concurrency policy is Forbid';
    this.tell(cronJob, 'Normal', 'JobAlreadyActive', message);
    return false;
  }

  private async start(cronJob: Stored<CronJob>, status: CronJobStatus, due: number): Promise<void> {
    const job = await this.createJob(cronJob, due);
    if (!job) return;
    const { namespace, name, uid, resourceVersion } = job.metadata;
    const reference = { kind: 'Job', namespace, name, uid, apiVersion: 'batch/v1', resourceVersion };
    if (!isJobFinished(job)) setActive(status, [...(status.active ?? []), reference]);
    status.lastScheduleTime = formatTime(due);
  }

  /** The name says for what time it is: a second attempt for the same time finds the job of the first. */
  private async createJob(cronJob: Stored<CronJob>, due: number): Promise<Stored<Job> | undefined> {
    const name = jobName(cronJob, due);
    const { namespace, uid } = cronJob.metadata;
    const { metadata, spec } = cronJob.spec?.jobTemplate ?? {};
    const draft: Job = {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: {
        namespace,
        name,
        labels: { ...metadata?.labels },
        annotations: { ...metadata?.annotations, 'batch.kubernetes.io/cronjob-scheduled-timestamp': formatTime(due) },
        ownerReferences: [controllerReference(cronJobs, cronJob)],
      },
      ...(spec ? { spec } : {}),
    };
    try {
      const job = await this.deps.client.create(jobs, draft);
      this.tell(cronJob, 'Normal', 'SuccessfulCreate', `Created job ${name}`);
      return job;
    } catch (error) {
      if (isReason(error, 'AlreadyExists')) {
        const present = await this.deps.client.get(jobs, { namespace, name });
        return controllerOf(present)?.uid === uid ? present : undefined;
      }
      this.tell(cronJob, 'Warning', 'FailedCreate', `Error creating job: ${(error as Error).message}`);
      throw error;
    }
  }

  private async write(cronJob: Stored<CronJob>, status: CronJobStatus): Promise<void> {
    if (equalJson(status, cronJob.status ?? {})) return;
    await this.deps.client.update(cronJobs, { ...cronJob, status }, { subresource: 'status' });
  }

  private tell(cronJob: Stored<CronJob>, type: EventInput['type'], reason: string, message: string): void {
    this.deps.recorder.record(withKind(cronJobs, cronJob), { type, reason, message });
  }
}

function setActive(status: CronJobStatus, active: JobReference[]): void {
  if (active.length > 0) status.active = active;
  else delete status.active;
}

export function jobName({ metadata }: Stored<CronJob>, due: number): string {
  return `${metadata.name}-${Math.floor(due / 60_000)}`;
}

/** Starts jobs by the clock. */
export const cronJobController: Controller = {
  name: 'cronjob-controller',
  watches: () => [watch(cronJobs, cronJob => [objectKey(cronJob)]), watch(jobs, ownerKeys(cronJobs))],
  build(deps) {
    const reconciler = new CronJobReconciler(deps);
    return { reconcile: key => reconciler.reconcile(key) };
  },
};
