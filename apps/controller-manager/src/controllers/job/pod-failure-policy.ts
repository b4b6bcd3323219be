import type { Job, Pod } from '@naru/api';

export interface FailureJudgement {
  action: 'FailJob' | 'FailIndex' | 'Ignore' | 'Count';
  message: string;
}

type Rule = NonNullable<NonNullable<NonNullable<Job['spec']>['podFailurePolicy']>['rules']>[number];

/** What the job's policy says about a failed pod: the first rule that matches decides. Undefined: an ordinary failure. */
export function judgeFailure(job: Job, pod: Pod): FailureJudgement | undefined {
  if (pod.status?.phase !== 'Failed') return undefined;
  for (const [index, rule] of (job.spec?.podFailurePolicy?.rules ?? []).entries()) {
    const why = rule.onExitCodes ? matchExitCodes(rule, pod) : matchConditions(rule, pod);
    if (why === undefined) continue;
    const action = rule.action as FailureJudgement['action'];
    return { action, message: `${why} matching ${action} rule at index ${index}` };
  }
  return undefined;
}

function nameOf({ metadata }: Pod): string {
  return `${metadata?.namespace ?? ''}/${metadata?.name ?? ''}`;
}

function matchExitCodes({ onExitCodes }: Rule, pod: Pod): string | undefined {
  const statuses = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
  for (const { name, state } of statuses) {
    if (onExitCodes?.containerName && onExitCodes.containerName !== name) continue;
    const code = state?.terminated?.exitCode;
    if (!code) continue;
    const listed = onExitCodes?.values?.includes(code) ?? false;
    if (listed === (onExitCodes?.operator === 'In'))
      return `Container ${name} for pod ${nameOf(pod)} failed with exit code ${code}`;
  }
  return undefined;
}

function matchConditions({ onPodConditions = [] }: Rule, pod: Pod): string | undefined {
  for (const pattern of onPodConditions) {
    const holds = pod.status?.conditions?.some(
      ({ type, status }) => type === pattern.type && status === (pattern.status || 'True'),
    );
    if (holds) return `Pod ${nameOf(pod)} has condition ${pattern.type}`;
  }
  return undefined;
}
