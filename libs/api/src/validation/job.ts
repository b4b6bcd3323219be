import type { Job } from '../types';
import { invalid, notSupported, required, tooMany, type FieldError } from './field-error';
import { validateNonNegative } from './workload';

type JobSpec = NonNullable<Job['spec']>;

const maxPolicyRules = 20;
const maxPatterns = 20;
const maxExitCodes = 255;
const maxCompletionsWithLimits = 100_000;

/** What of a job's spec concerns its indexes, limits and policies. Source: pkg/apis/batch/validation. */
export function validateJobPolicies(spec: JobSpec | undefined, path: string, errors: FieldError[]): void {
  if (!spec) return;
  validateNonNegative(spec.backoffLimitPerIndex, `${path}.backoffLimitPerIndex`, errors);
  validateNonNegative(spec.maxFailedIndexes, `${path}.maxFailedIndexes`, errors);
  const indexed = spec.completionMode === 'Indexed';
  if (spec.backoffLimitPerIndex !== undefined && !indexed)
    errors.push(invalid(`${path}.backoffLimitPerIndex`, spec.backoffLimitPerIndex, 'requires indexed completion mode'));
  if (spec.maxFailedIndexes !== undefined) {
    const at = `${path}.maxFailedIndexes`;
    if (spec.backoffLimitPerIndex === undefined)
      errors.push(required(`${path}.backoffLimitPerIndex`, 'when maxFailedIndexes is specified'));
    if (spec.completions !== undefined && spec.maxFailedIndexes > spec.completions)
      errors.push(invalid(at, spec.maxFailedIndexes, 'must be less than or equal to completions'));
  }
  if (indexed && (spec.completions ?? 0) > maxCompletionsWithLimits && (spec.parallelism ?? 0) > 10_000)
    errors.push(invalid(`${path}.parallelism`, spec.parallelism, 'must be less than or equal to 10000'));
  validateReplacement(spec, path, errors);
  validateFailurePolicy(spec, path, errors);
  validateSuccessPolicy(spec, path, errors);
  if (spec.managedBy !== undefined && !/^[^/\s]+\/[^\s]+$/.test(spec.managedBy))
    errors.push(invalid(`${path}.managedBy`, spec.managedBy, 'must be a domain-prefixed path (such as "acme.io/foo")'));
}

function validateReplacement(spec: JobSpec, path: string, errors: FieldError[]): void {
  const policy = spec.podReplacementPolicy;
  const at = `${path}.podReplacementPolicy`;
  const policies = spec.podFailurePolicy ? ['Failed'] : ['Failed', 'TerminatingOrFailed'];
  if (policy !== undefined && !policies.includes(policy)) errors.push(notSupported(at, policy, policies));
}

function validateFailurePolicy(spec: JobSpec, path: string, errors: FieldError[]): void {
  const { podFailurePolicy } = spec;
  if (!podFailurePolicy) return;
  const at = `${path}.podFailurePolicy`;
  const { restartPolicy } = spec.template.spec ?? {};
  if (restartPolicy !== 'Never')
    errors.push(invalid(`${at}`, restartPolicy, 'only "Never" is supported when podFailurePolicy is specified'));
  const rules = podFailurePolicy.rules ?? [];
  if (rules.length > maxPolicyRules) errors.push(tooMany(`${at}.rules`, rules.length, maxPolicyRules));
  const containers = [...(spec.template.spec?.containers ?? []), ...(spec.template.spec?.initContainers ?? [])];
  for (const [index, rule] of rules.entries()) {
    const here = `${at}.rules[${index}]`;
    const actions = ['Count', 'FailIndex', 'FailJob', 'Ignore'];
    if (!actions.includes(rule.action)) errors.push(notSupported(`${here}.action`, rule.action, actions));
    else if (rule.action === 'FailIndex' && spec.backoffLimitPerIndex === undefined)
      errors.push(invalid(`${here}.action`, rule.action, 'requires the backoffLimitPerIndex to be set'));
    const conditions = rule.onPodConditions ?? [];
    if (!!rule.onExitCodes === conditions.length > 0)
      errors.push(invalid(here, '', 'specifying one of OnExitCodes and OnPodConditions is required'));
    if (conditions.length > maxPatterns)
      errors.push(tooMany(`${here}.onPodConditions`, conditions.length, maxPatterns));
    if (rule.onExitCodes) validateExitCodes(rule.onExitCodes, `${here}.onExitCodes`, containers, errors);
  }
}

function validateExitCodes(
  codes: { containerName?: string | undefined; operator: string; values: number[] },
  path: string,
  containers: readonly { name: string }[],
  errors: FieldError[],
): void {
  const operators = ['In', 'NotIn'];
  if (!operators.includes(codes.operator)) errors.push(notSupported(`${path}.operator`, codes.operator, operators));
  if (codes.containerName && !containers.some(({ name }) => name === codes.containerName))
    errors.push(
      invalid(
        `${path}.containerName`,
        codes.containerName,
        'must be one of the container or initContainer names in the pod template',
      ),
    );
  const values = codes.values ?? [];
  if (values.length === 0) errors.push(invalid(`${path}.values`, values, 'at least one value is required'));
  if (values.length > maxExitCodes) errors.push(tooMany(`${path}.values`, values.length, maxExitCodes));
  if (codes.operator === 'In' && values.includes(0))
    errors.push(invalid(`${path}.values[${values.indexOf(0)}]`, 0, 'must not be 0 for the In operator'));
  for (const [index, value] of values.entries())
    if (index > 0 && value <= (values[index - 1] as number)) {
      errors.push(invalid(`${path}.values`, values, 'must be ordered'));
      break;
    }
}

function validateSuccessPolicy(spec: JobSpec, path: string, errors: FieldError[]): void {
  const { successPolicy } = spec;
  if (!successPolicy) return;
  const at = `${path}.successPolicy`;
  if (spec.completionMode !== 'Indexed') errors.push(invalid(at, successPolicy, 'requires indexed completion mode'));
  const rules = successPolicy.rules ?? [];
  if (rules.length === 0)
    errors.push(required(`${at}.rules`, 'at least one rules must be specified when the successPolicy is specified'));
  if (rules.length > maxPolicyRules) errors.push(tooMany(`${at}.rules`, rules.length, maxPolicyRules));
  for (const [index, { succeededIndexes, succeededCount }] of rules.entries()) {
    const here = `${at}.rules[${index}]`;
    if (succeededIndexes === undefined && succeededCount === undefined)
      errors.push(required(here, 'at least one of succeededCount or succeededIndexes must be specified'));
    if (succeededIndexes !== undefined && !isIndexList(succeededIndexes, spec.completions ?? 0))
      errors.push(invalid(`${here}.succeededIndexes`, succeededIndexes, 'error parsing succeededIndexes'));
    validateNonNegative(succeededCount, `${here}.succeededCount`, errors);
    if (succeededCount !== undefined && succeededCount > (spec.completions ?? 0))
      errors.push(
        invalid(
          `${here}.succeededCount`,
          succeededCount,
          `must be less than or equal to ${spec.completions} (the number of specified completions)`,
        ),
      );
  }
}

/** "0,2-4": ascending and below `completions`. */
function isIndexList(text: string, completions: number): boolean {
  let previous = -1;
  return text.split(',').every(part => {
    const match = /^(\d+)(?:-(\d+))?$/.exec(part);
    if (!match) return false;
    const first = Number(match[1]);
    const last = Number(match[2] ?? match[1]);
    const ascending = first > previous && last >= first && last < completions;
    previous = last;
    return ascending;
  });
}

/** As the cron jobs of upstream: a name of the time zone database; "Local" would depend on the machine. */
export function validateTimeZone(timeZone: string | undefined, path: string, errors: FieldError[]): void {
  if (timeZone === undefined) return;
  if (timeZone === '') errors.push(invalid(path, timeZone, 'timeZone must be nil or non-empty string'));
  else if (timeZone.toLowerCase() === 'local')
    errors.push(
      invalid(path, timeZone, 'timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones'),
    );
  else if (!isTimeZone(timeZone)) errors.push(invalid(path, timeZone, `unknown time zone ${timeZone}`));
}

function isTimeZone(timeZone: string): boolean {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone });
    return true;
  } catch {
    return false;
  }
}
