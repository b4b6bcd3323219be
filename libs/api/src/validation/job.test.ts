import type { CronJob, Job } from '../types';
import { cronJobKind, jobKind } from '../kinds/job';
import { describeFieldError } from './field-error';

const template = { spec: { restartPolicy: 'Never', containers: [{ name: 'main', image: 'web' }] } };

function problems(spec: Partial<NonNullable<Job['spec']>>): string[] {
  const job: Job = {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'work', namespace: 'default', uid: 'u' },
    spec: { template: structuredClone(template), ...spec },
  };
  jobKind.strategy.applyDefaults(job);
  jobKind.strategy.prepareForCreate(job);
  return jobKind.strategy.validateCreate(job).map(error => `${error.field}: ${describeFieldError(error)}`);
}

test('an ordinary job is fine', () => {
  expect(problems({})).toEqual([]);
  expect(problems({ completionMode: 'Indexed', completions: 3, backoffLimitPerIndex: 1, maxFailedIndexes: 1 })).toEqual(
    [],
  );
  const rules = [{ action: 'FailJob', onExitCodes: { operator: 'In', values: [1, 42] } }];
  expect(problems({ podFailurePolicy: { rules } })).toEqual([]);
});

test.each<[string, Partial<NonNullable<Job['spec']>>]>([
  ['backoffLimitPerIndex', { backoffLimitPerIndex: 1 }],
  ['maxFailedIndexes', { completionMode: 'Indexed', completions: 1, backoffLimitPerIndex: 1, maxFailedIndexes: 2 }],
  ['podReplacementPolicy', { podReplacementPolicy: 'Never' }],
  [
    'action',
    { podFailurePolicy: { rules: [{ action: 'Explode', onPodConditions: [{ type: 'x', status: 'True' }] }] } },
  ],
  ['rules[0]', { podFailurePolicy: { rules: [{ action: 'Ignore' }] } }],
  ['values', { podFailurePolicy: { rules: [{ action: 'Ignore', onExitCodes: { operator: 'In', values: [0] } }] } }],
  ['successPolicy', { successPolicy: { rules: [{ succeededCount: 1 }] } }],
  [
    'succeededIndexes',
    { completionMode: 'Indexed', completions: 3, successPolicy: { rules: [{ succeededIndexes: '2-5' }] } },
  ],
  ['managedBy', { managedBy: 'me' }],
])('a wrong %s is refused', (field, spec) => {
  const found = problems(spec);
  expect(found).not.toEqual([]);
  expect(found.join('\n')).toContain(field);
});

test.each([
  ['Asia/Seoul', true],
  [undefined, true],
  ['Local', false],
  ['Nowhere/Land', false],
])('the time zone %s of a cron job is accepted: %s', (timeZone, fine) => {
  const cronJob = {
    metadata: { name: 'tick', namespace: 'default' },
    spec: { schedule: '* * * * *', ...(timeZone ? { timeZone } : {}), jobTemplate: { spec: { template } } },
  } as CronJob;
  cronJobKind.strategy.applyDefaults(cronJob);
  expect(cronJobKind.strategy.validateCreate(cronJob).length === 0).toBe(fine);
});
