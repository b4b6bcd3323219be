import type { Container } from '../../types';
import { duplicate, invalid, notSupported, required, tooMany, type FieldError } from '../field-error';
import { validateChoice, validateOneOf } from '../fields';

const policies = ['Always', 'Never', 'OnFailure'];
const actions = ['Restart', 'RestartAllContainers'];
const operators = ['In', 'NotIn'];
const maxRules = 20;
const maxExitCodes = 255;

/** When a container is started again, other than its pod says. Source: core validation validateContainerRestartPolicy. */
export function validateContainerRestartPolicy(container: Container, at: string, errors: FieldError[]): void {
  const { restartPolicy, restartPolicyRules: rules = [] } = container;
  validateChoice(restartPolicy, policies, `${at}.restartPolicy`, errors);
  if (restartPolicy === undefined && rules.length > 0)
    errors.push(required(`${at}.restartPolicy`, 'must specify restartPolicy when restart rules are used'));
  if (rules.length > maxRules) errors.push(tooMany(`${at}.restartPolicyRules`, rules.length, maxRules));
  for (const [index, { action, exitCodes }] of rules.entries()) {
    const path = `${at}.restartPolicyRules[${index}]`;
    validateChoice(action, actions, `${path}.action`, errors);
    if (!exitCodes) {
      errors.push(required(`${path}.exitCodes`, 'must be specified'));
      continue;
    }
    const { operator = '', values = [] } = exitCodes;
    if (!operators.includes(operator)) errors.push(notSupported(`${path}.exitCodes.operator`, operator, operators));
    if (values.length > maxExitCodes) errors.push(tooMany(`${path}.exitCodes.values`, values.length, maxExitCodes));
  }
}

const resizable = ['cpu', 'memory'];
const resizePolicies = ['NotRequired', 'RestartContainer'];

/** Whether a container is started anew for other amounts of a resource. Source: core validation validateResizePolicy. */
export function validateResizePolicy(
  { resizePolicy = [] }: Container,
  podRestartPolicy: string | undefined,
  at: string,
  errors: FieldError[],
): void {
  const path = `${at}.resizePolicy`;
  const seen = new Set<string>();
  for (const [index, { resourceName, restartPolicy }] of resizePolicy.entries()) {
    if (seen.has(resourceName)) errors.push(duplicate(`${path}[${index}]`, resourceName));
    seen.add(resourceName);
    validateOneOf(resourceName, resizable, path, errors);
    validateOneOf(restartPolicy, resizePolicies, path, errors);
    if (podRestartPolicy === 'Never' && restartPolicy !== 'NotRequired')
      errors.push(invalid(path, restartPolicy, "must be 'NotRequired' when `restartPolicy` is 'Never'"));
  }
}
