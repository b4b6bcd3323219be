import type { Job, Pod, Stored } from '@naru/api';
import { assess, type Assessment } from './assess';
import { jobPod, makeJob } from './fixtures';
import { countCommon, countIndexes, formatIndexes, parseIndexes, withIndexes } from './indexes';
import { delayMs, planScaling } from './scale';
import { jobStatus } from './status';
import { judgeJob } from './verdict';

const now = 1_000_000_000;

function stateOf(job: Stored<Job>, pods: Stored<Pod>[] = [], released: string[] = []): Assessment {
  return assess({ job, pods, isReleased: uid => released.includes(uid), isDeleted: () => false });
}

test('index ranges are read, written, merged and compared', () => {
  expect(formatIndexes(parseIndexes('0,1,2,5,7-8'))).toBe('0-2,5,7,8');
  expect(formatIndexes(withIndexes(parseIndexes('0-2,4'), [3]))).toBe('0-4');
  expect(countIndexes(parseIndexes('0-9', 5))).toBe(5);
  expect(countCommon(parseIndexes('0-4,9'), parseIndexes('3-9'))).toBe(3);
  expect(formatIndexes(parseIndexes('nonsense'))).toBe('');
});

test('an ended pod is noted first, counted when it is released, and never twice', () => {
  const pods = [jobPod('one', { phase: 'Succeeded' })];
  const first = stateOf(makeJob({ completions: 2 }), pods);
  expect(first).toMatchObject({ succeeded: 1, counted: { succeeded: 0 }, uncounted: { succeeded: ['uid-one'] } });
  expect(first.release).toEqual(pods);
  const noted = makeJob({ completions: 2 }, { uncountedTerminatedPods: { succeeded: ['uid-one'] } });
  expect(stateOf(noted, pods)).toMatchObject({ succeeded: 1, counted: { succeeded: 0 } });
  expect(stateOf(noted, pods, ['uid-one'])).toMatchObject({ succeeded: 1, counted: { succeeded: 1 } });
  expect(stateOf(noted, [])).toMatchObject({ succeeded: 1, counted: { succeeded: 1 }, uncounted: { succeeded: [] } });
  const counted = makeJob({ completions: 2 }, { succeeded: 1 });
  expect(stateOf(counted, [jobPod('one', { phase: 'Succeeded', tracked: false })]).succeeded).toBe(1);
});

test.each<[string, Partial<NonNullable<Job['spec']>>, Stored<Pod>[], number, number]>([
  ['the first pods', { parallelism: 3, completions: 5 }, [], 3, 0],
  ['no more than are missing', { parallelism: 3, completions: 2 }, [], 2, 0],
  ['a work queue', { parallelism: 2, completions: undefined as never }, [], 2, 0],
  ['fewer when parallelism falls', { parallelism: 1, completions: 5 }, [jobPod('a'), jobPod('b')], 0, 1],
  ['none while suspended', { suspend: true }, [jobPod('a')], 0, 1],
  ['a terminating pod is replaced', {}, [jobPod('a', { terminating: true, ended: 0 })], 1, 0],
  ['not by the policy Failed', { podReplacementPolicy: 'Failed' }, [jobPod('a', { terminating: true })], 0, 0],
])('scaling: %s', (_what, spec, pods, create, remove) => {
  const plan = planScaling(stateOf(makeJob(spec), pods), Date.parse('2026-06-01'));
  expect(plan.create).toHaveLength(create);
  expect(plan.delete).toHaveLength(remove);
});

test('failed pods are replaced after 10 s, 20 s, 40 s, and no later than after 10 minutes', () => {
  expect([0, 1, 2, 3, 20].map(delayMs)).toEqual([0, 10_000, 20_000, 40_000, 600_000]);
  const ended = now / 1000 - 5;
  const plan = planScaling(stateOf(makeJob(), [jobPod('a', { phase: 'Failed', ended })]), now);
  expect(plan).toMatchObject({ create: [], waitMs: 5_000 });
});

test('indexed jobs start the lowest indexes that are missing', () => {
  const job = makeJob({ completionMode: 'Indexed', completions: 6, parallelism: 3 }, { completedIndexes: '0,2' });
  const plan = planScaling(stateOf(job, [jobPod('a', { index: 3 }), jobPod('b', { index: 3 })]), now);
  expect(plan.delete).toHaveLength(1);
  expect(planScaling(stateOf(job, [jobPod('a', { index: 3 })]), now).create).toEqual([1, 4]);
});

const rule = (action: string) => ({ action, onExitCodes: { operator: 'In', values: [42] } });

test.each<[string, Partial<NonNullable<Job['spec']>>, Job['status'], Stored<Pod>[], string | undefined]>([
  ['running', {}, {}, [jobPod('a')], undefined],
  ['complete', {}, {}, [jobPod('a', { phase: 'Succeeded' })], 'CompletionsReached'],
  ['over the limit', { backoffLimit: 1 }, { failed: 1 }, [jobPod('a', { phase: 'Failed' })], 'BackoffLimitExceeded'],
  ['within the limit', { backoffLimit: 2 }, { failed: 1 }, [jobPod('a', { phase: 'Failed' })], undefined],
  ['out of time', { activeDeadlineSeconds: 5 }, { startTime: '1970-01-01T00:00:00Z' }, [], 'DeadlineExceeded'],
  [
    'a fatal exit code',
    { podFailurePolicy: { rules: [rule('FailJob')] } },
    {},
    [jobPod('a', { phase: 'Failed', exitCode: 42 })],
    'PodFailurePolicy',
  ],
  [
    'an ignored failure',
    { backoffLimit: 0, podFailurePolicy: { rules: [rule('Ignore')] } },
    {},
    [jobPod('a', { phase: 'Failed', exitCode: 42 })],
    undefined,
  ],
  [
    'another exit code counts',
    { backoffLimit: 0, podFailurePolicy: { rules: [rule('Ignore')] } },
    {},
    [jobPod('a', { phase: 'Failed', exitCode: 1 })],
    'BackoffLimitExceeded',
  ],
  [
    'early success',
    {
      completionMode: 'Indexed',
      completions: 5,
      successPolicy: { rules: [{ succeededIndexes: '0,3-4', succeededCount: 2 }] },
    },
    { completedIndexes: '0' },
    [jobPod('a', { phase: 'Succeeded', index: 3 })],
    'SuccessPolicy',
  ],
  [
    'a failed index and all others done',
    { completionMode: 'Indexed', completions: 2, backoffLimitPerIndex: 1 },
    { completedIndexes: '0' },
    [jobPod('a', { phase: 'Failed', index: 1, failures: 1 })],
    'FailedIndexes',
  ],
  [
    'an index that may be tried again',
    { completionMode: 'Indexed', completions: 2, backoffLimitPerIndex: 1 },
    { completedIndexes: '0' },
    [jobPod('a', { phase: 'Failed', index: 1, failures: 0 })],
    undefined,
  ],
  [
    'too many failed indexes',
    { completionMode: 'Indexed', completions: 9, backoffLimitPerIndex: 0, maxFailedIndexes: 0 },
    {},
    [jobPod('a', { phase: 'Failed', index: 1, failures: 0 })],
    'MaxFailedIndexesExceeded',
  ],
])('a job is judged: %s', (_what, spec, status, pods, reason) => {
  expect(judgeJob(stateOf(makeJob(spec, status), pods), now)?.reason).toBe(reason);
});

test('the failed pod of an index is held until another has taken over its count', () => {
  const job = makeJob({ completionMode: 'Indexed', completions: 1, backoffLimitPerIndex: 3 });
  const failed = jobPod('a', { phase: 'Failed', index: 0, failures: 1, ended: 0 });
  const alone = stateOf(job, [failed]);
  expect(alone.release).toEqual([]);
  expect(alone.lastFailures.get(0)).toMatchObject({ failures: 2 });
  const replaced = stateOf(job, [failed, jobPod('b', { index: 0, failures: 2 })]);
  expect(replaced.release).toEqual([failed]);
  expect(replaced.uncounted.failed).toEqual(['uid-a']);
});

test('the final condition waits until every pod is gone and counted', () => {
  const verdict = { interim: 'SuccessCriteriaMet', reason: 'CompletionsReached', message: '' } as const;
  const types = (state: Assessment) =>
    jobStatus(state, verdict, { created: 0, deleted: 0 }, now).conditions?.map(({ type }) => type);
  expect(types(stateOf(makeJob(), [jobPod('a', { phase: 'Succeeded' })]))).toEqual(['SuccessCriteriaMet']);
  const done = makeJob({}, { succeeded: 1 });
  expect(types(stateOf(done, [jobPod('b')]))).toEqual(['SuccessCriteriaMet']);
  expect(types(stateOf(done, []))).toEqual(['SuccessCriteriaMet', 'Complete']);
});
