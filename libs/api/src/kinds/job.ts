import { deepEqual } from '../deep-equal';
import { defaultPodTemplate } from '../defaults/pod-spec';
import { cronJobs, jobs } from '../resource';
import { ageColumn, containerColumns, integer, isConditionTrue, nameColumn, text, wide } from '../table/columns';
import { humanDuration, since } from '../table/duration';
import type { CronJob, Job } from '../types';
import { invalid, notSupported, required, type FieldError } from '../validation/field-error';
import { validateJobPolicies, validateTimeZone } from '../validation/job';
import { validatePodTemplate } from '../validation/pod/pod-spec';
import { immutableMessage, validateNonNegative } from '../validation/workload';
import { defineKind } from './define-kind';
import { formatSelector } from './selector-column';

type JobSpec = NonNullable<Job['spec']>;

function defaultJobSpec(spec: JobSpec | undefined): void {
  if (!spec) return;
  if (spec.completions === undefined && spec.parallelism === undefined) spec.completions = 1;
  spec.parallelism ??= 1;
  spec.backoffLimit ??= spec.backoffLimitPerIndex === undefined ? 6 : 2_147_483_647;
  spec.completionMode ??= 'NonIndexed';
  spec.suspend ??= false;
  spec.podReplacementPolicy ??= spec.podFailurePolicy ? 'Failed' : 'TerminatingOrFailed';
  for (const rule of spec.podFailurePolicy?.rules ?? [])
    for (const pattern of rule.onPodConditions ?? []) pattern.status ||= 'True';
  defaultPodTemplate(spec.template);
}

/** A job finds its pods by its own uid, unless its author says otherwise. Needs metadata.uid. */
function generateSelector(o: Job): void {
  const { spec } = o;
  const { uid, name } = o.metadata ?? {};
  if (!spec || spec.manualSelector || !uid || !name) return;
  const template = (spec.template ??= {});
  const labels: Record<string, string> = ((template.metadata ??= {}).labels ??= {});
  labels['controller-uid'] = uid;
  labels['batch.kubernetes.io/controller-uid'] = uid;
  labels['job-name'] = name;
  labels['batch.kubernetes.io/job-name'] = name;
  const selector = (spec.selector ??= {});
  const wanted: Record<string, string> = (selector.matchLabels ??= {});
  wanted['batch.kubernetes.io/controller-uid'] = uid;
}

function validateJobSpec(spec: JobSpec | undefined, path: string, errors: FieldError[]): void {
  for (const field of ['parallelism', 'completions', 'activeDeadlineSeconds', 'backoffLimit'] as const)
    validateNonNegative(spec?.[field], `${path}.${field}`, errors);
  validateNonNegative(spec?.ttlSecondsAfterFinished, `${path}.ttlSecondsAfterFinished`, errors);
  validatePodTemplate(spec?.template, `${path}.template`, errors);
  const policy = spec?.template?.spec?.restartPolicy;
  if (policy !== 'OnFailure' && policy !== 'Never')
    errors.push(
      policy === 'Always' || !policy
        ? required(`${path}.template.spec.restartPolicy`, 'valid values: "OnFailure", "Never"')
        : notSupported(`${path}.template.spec.restartPolicy`, policy, ['Never', 'OnFailure']),
    );
  const modes = ['Indexed', 'NonIndexed'];
  if (spec?.completionMode && !modes.includes(spec.completionMode))
    errors.push(notSupported(`${path}.completionMode`, spec.completionMode, modes));
  if (spec?.completionMode === 'Indexed' && spec.completions === undefined)
    errors.push(required(`${path}.completions`, 'when completion mode is Indexed'));
  validateJobPolicies(spec, path, errors);
}

function statusOf(o: Job): string {
  const conditions = o.status?.conditions;
  if (isConditionTrue(conditions, 'Complete')) return 'Complete';
  if (isConditionTrue(conditions, 'Failed')) return 'Failed';
  if (o.metadata?.deletionTimestamp) return 'Terminating';
  for (const type of ['Suspended', 'FailureTarget', 'SuccessCriteriaMet'])
    if (isConditionTrue(conditions, type)) return type;
  return 'Running';
}

function completionsOf({ spec, status }: Job): string {
  const done = status?.succeeded ?? 0;
  if (spec?.completions !== undefined) return `${done}/${spec.completions}`;
  const parallelism = spec?.parallelism ?? 0;
  return parallelism > 1 ? `${done}/1 of ${parallelism}` : `${done}/1`;
}

function durationOf({ status }: Job, nowMs: number): string {
  if (!status?.startTime) return '';
  const end = status.completionTime ? Date.parse(status.completionTime) : nowMs;
  return humanDuration(end - Date.parse(status.startTime));
}

export const jobKind = defineKind(jobs, {
  categories: ['all'],
  subresources: { status: true },
  hasGeneration: true,
  applyDefaults: o => defaultJobSpec(o.spec),
  prepareForCreate: generateSelector,
  validate: ({ spec }, errors) => {
    if (!spec?.selector) errors.push(required('spec.selector'));
    validateJobSpec(spec, 'spec', errors);
  },
  validateUpdate: (next, old, errors) => {
    for (const field of ['selector', 'completionMode', 'podFailurePolicy', 'backoffLimitPerIndex'] as const)
      if (!deepEqual(next.spec?.[field], old.spec?.[field]))
        errors.push(invalid(`spec.${field}`, next.spec?.[field], immutableMessage));
    const elastic = next.spec?.completionMode === 'Indexed' && next.spec.completions === next.spec.parallelism;
    if (!elastic && next.spec?.completions !== old.spec?.completions)
      errors.push(invalid('spec.completions', next.spec?.completions, immutableMessage));
    if (!old.spec?.suspend && !deepEqual(next.spec?.template, old.spec?.template))
      errors.push(invalid('spec.template', next.spec?.template, immutableMessage));
  },
  selectable: { 'status.successful': o => o.status?.succeeded ?? 0 },
  columns: [
    nameColumn,
    text('Status', 'Status of the job.', statusOf),
    text('Completions', 'How many pods succeeded of how many.', completionsOf),
    text('Duration', 'Time required to complete the job.', durationOf),
    ageColumn,
    ...containerColumns<Job>(),
    wide('Selector', 'Label selector for pods.', o => formatSelector(o.spec?.selector)),
  ],
});

export const cronJobKind = defineKind(cronJobs, {
  shortNames: ['cj'],
  categories: ['all'],
  subresources: { status: true },
  hasGeneration: true,
  applyDefaults: ({ spec }) => {
    if (!spec) return;
    spec.concurrencyPolicy ||= 'Allow';
    spec.suspend ??= false;
    spec.successfulJobsHistoryLimit ??= 3;
    spec.failedJobsHistoryLimit ??= 1;
    defaultPodTemplate(spec.jobTemplate?.spec?.template);
  },
  validateCreate: ({ metadata }, errors) => {
    // Jobs add eleven characters, and their pods more.
    if ((metadata?.name?.length ?? 0) > 52)
      errors.push(invalid('metadata.name', metadata?.name, 'must be no more than 52 characters'));
  },
  validate: ({ spec }, errors) => {
    if (!spec?.schedule) errors.push(required('spec.schedule'));
    else if (!isSchedule(spec.schedule))
      errors.push(invalid('spec.schedule', spec.schedule, 'expected exactly 5 fields or a descriptor such as @daily'));
    validateTimeZone(spec?.timeZone, 'spec.timeZone', errors);
    if (/^(CRON_)?TZ=/.test(spec?.schedule ?? ''))
      errors.push(
        invalid('spec.schedule', spec?.schedule, 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead'),
      );
    const policies = ['Allow', 'Forbid', 'Replace'];
    if (!policies.includes(spec?.concurrencyPolicy ?? ''))
      errors.push(notSupported('spec.concurrencyPolicy', spec?.concurrencyPolicy, policies));
    validateNonNegative(spec?.startingDeadlineSeconds, 'spec.startingDeadlineSeconds', errors);
    validateNonNegative(spec?.successfulJobsHistoryLimit, 'spec.successfulJobsHistoryLimit', errors);
    validateNonNegative(spec?.failedJobsHistoryLimit, 'spec.failedJobsHistoryLimit', errors);
    validateJobSpec(spec?.jobTemplate?.spec, 'spec.jobTemplate.spec', errors);
  },
  columns: [
    nameColumn,
    text('Schedule', 'The schedule in Cron format.', o => o.spec?.schedule ?? ''),
    text('Timezone', 'The time zone of the schedule.', o => o.spec?.timeZone ?? '<none>'),
    {
      ...text('Suspend', 'Whether it is stopped for now.', (o: CronJob) => (o.spec?.suspend ? 'True' : 'False')),
      type: 'boolean',
    },
    integer('Active', 'How many jobs are running.', o => o.status?.active?.length ?? 0),
    text('Last Schedule', 'When a job was last scheduled.', (o, nowMs) =>
      o.status?.lastScheduleTime ? since(o.status.lastScheduleTime, nowMs) : '<none>',
    ),
    ageColumn,
    ...containerColumns<CronJob>(o => o.spec?.jobTemplate?.spec?.template),
    wide('Selector', 'Label selector for pods.', o => formatSelector(o.spec?.jobTemplate?.spec?.selector)),
  ],
});

function isSchedule(schedule: string): boolean {
  if (/^@(yearly|annually|monthly|weekly|daily|midnight|hourly|every \S+)$/.test(schedule)) return true;
  const fields = schedule.trim().split(/\s+/);
  return fields.length === 5 && fields.every(field => /^[\d*/,\-?A-Za-z]+$/.test(field));
}
