import type { Job, Pod, Stored } from '@naru/api';
import { isFinished, isPodReady } from '../../pods/pod-state';
import { countIndexes, hasIndex, parseIndexes, withIndexes, type Indexes } from './indexes';
import { failuresBefore, ignoredFailuresBefore, indexOf, isFailed, isIndexed, isSucceeded, isTracked } from './job-pod';
import { judgeFailure } from './pod-failure-policy';

export interface AssessInput {
  job: Stored<Job>;
  pods: readonly Stored<Pod>[];
  /** The finalizer was taken off a moment ago, though the pod does not show it yet. */
  isReleased(uid: string): boolean;
  /** Deleted a moment ago. */
  isDeleted(uid: string): boolean;
}

/** Where a job stands. Everything is worked out from the job's status and its pods. */
export interface Assessment {
  job: Stored<Job>;
  active: Stored<Pod>[];
  ready: number;
  terminating: number;
  /** Finished pods that still have the finalizer, and those whose end is noted in the status and not yet in its counts. */
  uncounted: { succeeded: string[]; failed: string[] };
  /** Of the status, with what was noted and has lost its finalizer since. */
  counted: { succeeded: number; failed: number };
  /** All that have ended, counted or not. */
  succeeded: number;
  failed: number;
  newFailures: boolean;
  succeededIndexes: Indexes;
  failedIndexes: Indexes | undefined;
  /** Pods to be released once the status is written. */
  release: Stored<Pod>[];
  /** A rule of the podFailurePolicy ends the job. */
  fatal: string | undefined;
  /** Index → the last failed pod of the index, which the next one takes its numbers from. */
  lastFailures: Map<number, { pod: Stored<Pod>; failures: number; ignored: number }>;
  pods: readonly Stored<Pod>[];
}

export function assess(input: AssessInput): Assessment {
  const { job, pods, isReleased, isDeleted } = input;
  const holds = (pod: Stored<Pod>): boolean => isTracked(pod) && !isReleased(pod.metadata.uid);
  const tracked = pods.filter(holds);
  const trackedUids = new Set(tracked.map(({ metadata }) => metadata.uid));
  const noted = job.status?.uncountedTerminatedPods;
  const still = (uids: readonly string[] = []): string[] => uids.filter(uid => trackedUids.has(uid));
  const uncounted = { succeeded: still(noted?.succeeded), failed: still(noted?.failed) };
  const counted = {
    succeeded: (job.status?.succeeded ?? 0) + (noted?.succeeded?.length ?? 0) - uncounted.succeeded.length,
    failed: (job.status?.failed ?? 0) + (noted?.failed?.length ?? 0) - uncounted.failed.length,
  };
  const leaving = (pod: Stored<Pod>): boolean => !!pod.metadata.deletionTimestamp || isDeleted(pod.metadata.uid);
  const active = pods.filter(pod => !isFinished(pod) && !leaving(pod));
  const state: Assessment = {
    job,
    pods,
    active,
    ready: active.filter(isPodReady).length,
    terminating: pods.filter(pod => !isFinished(pod) && leaving(pod)).length,
    uncounted,
    counted,
    succeeded: 0,
    failed: 0,
    newFailures: false,
    succeededIndexes: [],
    failedIndexes: undefined,
    release: [],
    fatal: undefined,
    lastFailures: new Map(),
  };
  countIndexesOf(state, tracked);
  countEnds(state, tracked);
  state.succeeded = isIndexed(job)
    ? countIndexes(state.succeededIndexes)
    : counted.succeeded + uncounted.succeeded.length;
  state.failed = counted.failed + uncounted.failed.length;
  if (isIndexed(job)) {
    // An index says it all: its pods need no accounts.
    counted.succeeded = state.succeeded;
    uncounted.succeeded = [];
  }
  return state;
}

function countIndexesOf(state: Assessment, tracked: readonly Stored<Pod>[]): void {
  const { job } = state;
  if (!isIndexed(job)) return;
  const completions = job.spec?.completions ?? 0;
  const indexed = tracked.flatMap(pod => {
    const index = indexOf(pod);
    return index !== undefined && index < completions ? [{ pod, index }] : [];
  });
  const done = indexed.filter(({ pod }) => isSucceeded(pod)).map(({ index }) => index);
  state.succeededIndexes = withIndexes(parseIndexes(job.status?.completedIndexes, completions), done);
  const limit = job.spec?.backoffLimitPerIndex;
  if (limit === undefined) return;
  const failed: number[] = [];
  for (const { pod, index } of indexed) {
    if (!isFailed(pod, job)) continue;
    const judgement = judgeFailure(job, pod)?.action;
    const ignored = judgement === 'Ignore';
    const failures = failuresBefore(pod);
    if (judgement === 'FailIndex' || (!ignored && failures >= limit)) failed.push(index);
    const last = state.lastFailures.get(index);
    const own = {
      pod,
      failures: failures + (ignored ? 0 : 1),
      ignored: ignoredFailuresBefore(pod) + (ignored ? 1 : 0),
    };
    if (!last || own.failures + own.ignored > last.failures + last.ignored) state.lastFailures.set(index, own);
  }
  const notDone = failed.filter(index => !hasIndex(state.succeededIndexes, index));
  state.failedIndexes = withIndexes(parseIndexes(job.status?.failedIndexes, completions), notDone);
}

/** Sorts out the pods that have ended: those to be noted, and those that may be released. */
function countEnds(state: Assessment, tracked: readonly Stored<Pod>[]): void {
  const { job, uncounted } = state;
  const noted = new Set([...uncounted.succeeded, ...uncounted.failed]);
  const waiting = waitingForReplacement(state);
  for (const pod of tracked) {
    const { uid } = pod.metadata;
    if (noted.has(uid)) {
      state.release.push(pod);
    } else if (isSucceeded(pod)) {
      if (!isIndexed(job)) uncounted.succeeded.push(uid);
      state.release.push(pod);
    } else if (isFailed(pod, job)) {
      const judgement = judgeFailure(job, pod);
      if (judgement?.action === 'FailJob') state.fatal ??= judgement.message;
      if (waiting.has(uid)) continue;
      if (judgement?.action !== 'Ignore') {
        uncounted.failed.push(uid);
        state.newFailures = true;
      }
      state.release.push(pod);
    }
  }
}

/** With limits per index the last failed pod of an index keeps its numbers until another pod has taken them over. */
function waitingForReplacement(state: Assessment): Set<string> {
  const waiting = new Set<string>();
  if (isOver(state.job)) return waiting;
  for (const [index, { pod, failures, ignored }] of state.lastFailures) {
    if (hasIndex(state.succeededIndexes, index) || hasIndex(state.failedIndexes ?? [], index)) continue;
    const taken = state.active.some(
      other => indexOf(other) === index && failuresBefore(other) + ignoredFailuresBefore(other) >= failures + ignored,
    );
    if (!taken) waiting.add(pod.metadata.uid);
  }
  return waiting;
}

/** No further pods will come. */
export function isOver(job: Stored<Job>): boolean {
  const over = ['FailureTarget', 'SuccessCriteriaMet', 'Failed', 'Complete'];
  return (
    !!job.metadata.deletionTimestamp ||
    (job.status?.conditions?.some(({ type, status }) => over.includes(type) && status === 'True') ?? false)
  );
}
