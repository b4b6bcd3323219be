import { compileLabelSelector, jobs, pods, type Job, type Pod, type Stored } from '@naru/api';
import { objectKey, parseKey, type ReconcileResult } from '@naru/client';
import { equalJson } from '../../framework/canonical';
import { claimObjects } from '../../framework/claim';
import { watch, type Controller, type ControllerDeps, type Watch } from '../../framework/controller';
import { orphansOf, type ClusterInformers } from '../../framework/informers';
import { controllerOf, ownerKeys, withKind } from '../../framework/owner';
import { slowStart } from '../../framework/slow-start';
import { PodControl, isNamespaceTerminating } from '../../pods/pod-control';
import { PodDeletions } from '../../pods/pod-deletions';
import { assess, type Assessment } from './assess';
import { isTracked, prepareJobPod, trackingFinalizer } from './job-pod';
import { OrphanedPods, orphanKey, orphanOf } from './orphaned-pods';
import { PodRelease } from './pod-release';
import { planScaling } from './scale';
import { finishedCondition, isJobFinished, jobStatus, type JobStatus } from './status';
import { deadlineInMs, judgeJob, type Verdict } from './verdict';

/** Most pods created or deleted, and most ends noted, in one reconcile. Upstream's MaxPodCreateDeletePerSync. */
const burst = 500;
const ourselves = 'kubernetes.io/job-controller';

class JobReconciler {
  private readonly deletions: PodDeletions;
  private readonly control: PodControl<Job>;
  private readonly release: PodRelease;
  private readonly orphans: OrphanedPods;

  constructor(private readonly deps: ControllerDeps) {
    this.deletions = new PodDeletions(deps.informers.get(pods));
    this.control = new PodControl({ deps, ownerType: jobs, deletions: this.deletions });
    this.release = new PodRelease(deps);
    this.orphans = new OrphanedPods(deps, this.release);
  }

  async reconcile(key: string): Promise<ReconcileResult> {
    const orphan = orphanOf(key);
    if (orphan) return this.orphans.release(orphan);
    const job = this.deps.informers.lister(jobs).get(parseKey(key));
    if (!job || (job.spec?.managedBy && job.spec.managedBy !== ourselves)) return undefined;
    const all = await this.podsOf(job);
    if (isJobFinished(job)) return this.release.all(all.filter(isTracked));
    const state = assess({
      job,
      pods: all,
      isReleased: uid => this.release.isReleased(uid),
      isDeleted: uid => this.deletions.has(uid),
    });
    const now = this.deps.clock.now();
    const verdict = judgeJob(state, now);
    const change = verdict ? await this.endPods(state, verdict) : await this.scale(state);
    const status = jobStatus(state, verdict, change, now);
    await this.write(job, status);
    await this.release.all(state.release.slice(0, burst));
    if (change.error !== undefined && !isNamespaceTerminating(change.error)) throw change.error;
    return this.nextLook(job, change.waitMs);
  }

  private async podsOf(job: Stored<Job>): Promise<Stored<Pod>[]> {
    const lister = this.deps.informers.lister(pods);
    const { uid, namespace } = job.metadata;
    return claimObjects({
      client: this.deps.client,
      type: pods,
      ownerType: jobs,
      owner: job,
      matches: compileLabelSelector(job.spec?.selector),
      candidates: [...lister.byIndex('owner', uid), ...lister.byIndex('owner', orphansOf(namespace))],
      finalizer: trackingFinalizer,
    });
  }

  /** Creates what is missing and deletes what is too much; pods that are deleted here are no failures. */
  private async scale(state: Assessment) {
    const { job } = state;
    const change = { created: 0, deleted: 0, waitMs: undefined as number | undefined, error: undefined as unknown };
    const template = job.spec?.template;
    if (job.metadata.deletionTimestamp || !template) return change;
    const plan = planScaling(state, this.deps.clock.now());
    change.waitMs = plan.waitMs;
    if (plan.create.length > burst || plan.delete.length > burst) this.deps.enqueue(objectKey(job));
    const removed = await Promise.allSettled(
      plan.delete.slice(0, burst).map(async pod => {
        await this.release.one(pod);
        await this.control.delete(job, pod);
      }),
    );
    change.deleted = removed.filter(({ status }) => status === 'fulfilled').length;
    change.error = removed.find(result => result.status === 'rejected')?.reason;
    const { done, error } = await slowStart(Math.min(plan.create.length, burst), async at => {
      const index = plan.create[at];
      const last = index === undefined ? undefined : state.lastFailures.get(index);
      await this.control.create(job, template, prepareJobPod(job, index, last));
    });
    change.created = done;
    change.error ??= error;
    return change;
  }

  /** The job ends: what still runs is stopped. After a failure, or early by its policy, that counts as failed pods. */
  private async endPods({ job, active }: Assessment, verdict: Verdict) {
    const complete = verdict.reason === 'CompletionsReached';
    const results = await Promise.allSettled(
      active.slice(0, burst).map(async pod => {
        if (complete) await this.release.one(pod);
        await this.control.delete(job, pod);
      }),
    );
    const deleted = results.filter(({ status }) => status === 'fulfilled').length;
    const error: unknown = results.find(result => result.status === 'rejected')?.reason;
    return { created: 0, deleted, waitMs: undefined, error };
  }

  private async write(job: Stored<Job>, status: JobStatus): Promise<void> {
    if (equalJson(status, job.status)) return;
    const written = await this.deps.client.update(jobs, { ...job, status }, { subresource: 'status' });
    this.tell(job, written);
  }

  private tell(before: Stored<Job>, after: Stored<Job>): void {
    const record = (type: 'Normal' | 'Warning', reason: string, message: string): void =>
      this.deps.recorder.record(withKind(jobs, after), { type, reason, message });
    const end = finishedCondition(after);
    if (end?.type === 'Complete') record('Normal', 'Completed', 'Job completed');
    else if (end) record('Warning', end.reason ?? 'Failed', end.message ?? '');
    const of = (job: Job) => job.status?.conditions?.find(({ type }) => type === 'Suspended')?.status ?? 'False';
    if (of(before) === of(after)) return;
    if (of(after) === 'True') record('Normal', 'Suspended', 'Job suspended');
    else record('Normal', 'Resumed', 'Job resumed');
  }

  private nextLook(job: Job, waitMs: number | undefined): ReconcileResult {
    const waits = [waitMs, deadlineInMs(job, this.deps.clock.now())].filter(ms => ms !== undefined && ms > 0);
    return waits.length > 0 ? { requeueAfterMs: Math.min(...(waits as number[])) + 1 } : undefined;
  }
}

function keysOfPod(informers: ClusterInformers): (pod: Stored<Pod>) => string[] {
  const all = informers.lister(jobs);
  const owner = ownerKeys(jobs);
  return pod => {
    const reference = controllerOf(pod);
    const { namespace, labels } = pod.metadata;
    if (reference) {
      const keys = owner(pod);
      const strange = keys.some(key => all.get(parseKey(key))?.metadata.uid !== reference.uid);
      return strange && isTracked(pod) ? [...keys, orphanKey(pod)] : keys;
    }
    if (isTracked(pod)) return [orphanKey(pod)];
    return all
      .list(namespace)
      .filter(job => compileLabelSelector(job.spec?.selector)(labels))
      .map(job => objectKey(job));
  };
}

/** The pods of a job that is gone must not be held by our finalizer. */
function deletedJobs(): Watch {
  return {
    attach(informers, enqueue) {
      informers.get(jobs).addHandler({
        onDelete: ({ metadata }) => {
          const owned = informers.lister(pods).byIndex('owner', metadata.uid);
          for (const pod of owned) if (isTracked(pod)) enqueue(orphanKey(pod));
        },
      });
    },
  };
}

/** Runs pods until enough of them have succeeded. */
export const jobController: Controller = {
  name: 'job-controller',
  watches: ({ informers }) => [watch(jobs, job => [objectKey(job)]), watch(pods, keysOfPod(informers)), deletedJobs()],
  build(deps) {
    const reconciler = new JobReconciler(deps);
    return { reconcile: key => reconciler.reconcile(key) };
  },
};
