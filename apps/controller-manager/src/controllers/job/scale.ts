import type { Pod, Stored } from '@naru/api';
import { rankForDeletion } from '../../pods/deletion-rank';
import type { Assessment } from './assess';
import { hasIndex } from './indexes';
import { finishTime, indexOf, isFailed, isIndexed, isSucceeded, replacesOnlyFailed } from './job-pod';

const baseDelayMs = 10_000;
const maxDelayMs = 600_000;

export interface Scaling {
  delete: Stored<Pod>[];
  /** The index of each pod to create; undefined for jobs without indexes. */
  create: (number | undefined)[];
  /** Pods are missing that may not be created yet. */
  waitMs: number | undefined;
}

/** Which pods a running job has too many and which too few. Source: job.manageJob. */
export function planScaling(state: Assessment, now: number): Scaling {
  const { job, active } = state;
  if (job.spec?.suspend) return { delete: [...active], create: [], waitMs: undefined };
  const wanted = wantedActive(state);
  const surplus = podsToRemove(state, Math.max(0, active.length - wanted), now);
  if (surplus.length > 0) return { delete: surplus, create: [], waitMs: undefined };
  const terminating = replacesOnlyFailed(job) ? state.terminating : 0;
  const missing = wanted - active.length - terminating;
  if (missing <= 0) return { delete: [], create: [], waitMs: undefined };
  if (job.spec?.backoffLimitPerIndex !== undefined) return planPerIndex(state, missing, now);
  const waitMs = backOffMs(state, now);
  if (waitMs > 0) return { delete: [], create: [], waitMs };
  const create = isIndexed(job) ? pendingIndexes(state).slice(0, missing) : Array<undefined>(missing).fill(undefined);
  return { delete: [], create, waitMs: undefined };
}

function wantedActive({ job, active, succeeded }: Assessment): number {
  const { completions, parallelism = 1 } = job.spec ?? {};
  // A work queue: when one pod has found it empty, no further pods are started.
  if (completions === undefined) return succeeded > 0 ? Math.min(active.length, parallelism) : parallelism;
  return Math.max(0, Math.min(completions - succeeded, parallelism));
}

/** Of indexed jobs first the pods whose index is not wanted, or is another pod's too. */
function podsToRemove(state: Assessment, atLeast: number, now: number): Stored<Pod>[] {
  const { job, active } = state;
  const ranked = rankForDeletion(active, () => 0, now);
  if (!isIndexed(job)) return ranked.slice(0, atLeast);
  const completions = job.spec?.completions ?? 0;
  const seen = new Set<number>();
  const remove: Stored<Pod>[] = [];
  const keep: Stored<Pod>[] = [];
  // The last in rank are the most valuable.
  for (const pod of ranked.toReversed()) {
    const index = indexOf(pod);
    const wanted =
      index !== undefined && index < completions && !seen.has(index) && !hasIndex(state.succeededIndexes, index);
    if (index !== undefined) seen.add(index);
    (wanted ? keep : remove).push(pod);
  }
  const byIndex = keep.sort((a, b) => (indexOf(b) ?? 0) - (indexOf(a) ?? 0));
  return [...remove, ...byIndex.slice(0, Math.max(0, atLeast - remove.length))];
}

/** Indexes that have neither ended nor have a pod, the lowest first. */
export function pendingIndexes(state: Assessment): number[] {
  const { job, active, succeededIndexes, failedIndexes = [] } = state;
  const taken = new Set(active.map(indexOf));
  if (replacesOnlyFailed(job))
    for (const pod of state.pods)
      if (pod.metadata.deletionTimestamp && !isFailed(pod, job) && !isSucceeded(pod)) taken.add(indexOf(pod));
  const pending: number[] = [];
  const most = job.spec?.parallelism ?? 1;
  for (let index = 0; index < (job.spec?.completions ?? 0) && pending.length < most; index++) {
    if (!taken.has(index) && !hasIndex(succeededIndexes, index) && !hasIndex(failedIndexes, index)) pending.push(index);
  }
  return pending;
}

function planPerIndex(state: Assessment, missing: number, now: number): Scaling {
  const create: number[] = [];
  let waitMs: number | undefined;
  for (const index of pendingIndexes(state)) {
    const last = state.lastFailures.get(index);
    const left = last ? finishTime(last.pod) + delayMs(last.failures + last.ignored) - now : 0;
    if (left > 0) waitMs = Math.min(left, waitMs ?? Infinity);
    else if (create.length < missing) create.push(index);
  }
  return { delete: [], create, waitMs };
}

/** 10 s, 20 s, 40 s, ... up to 10 min after the last of `failures` in a row. */
export function delayMs(failures: number): number {
  return failures <= 0 ? 0 : Math.min(baseDelayMs * 2 ** (failures - 1), maxDelayMs);
}

/** How long to wait before failed pods are replaced: worked out from the pods, so that it outlives this process. */
function backOffMs({ job, pods }: Assessment, now: number): number {
  let lastSuccess = 0;
  const failures: number[] = [];
  for (const pod of pods) {
    if (isSucceeded(pod)) lastSuccess = Math.max(lastSuccess, finishTime(pod));
    else if (pod.status?.phase === 'Failed' || isFailed(pod, job)) failures.push(finishTime(pod));
  }
  const since = failures.filter(time => time > lastSuccess);
  return since.length === 0 ? 0 : Math.max(...since) + delayMs(since.length) - now;
}
