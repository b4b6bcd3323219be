import type { LabelSelector } from '../types';
import { forbidden, invalid, required, type FieldError } from './field-error';
import { validateLabels } from './metadata';
import { labelValueProblem, qualifiedNameProblem } from './names';

/** Source: apimachinery meta/v1/validation.ValidateLabelSelector. */
export function validateLabelSelector(selector: LabelSelector | undefined, path: string, errors: FieldError[]): void {
  if (!selector) return;
  validateLabels(selector.matchLabels, `${path}.matchLabels`, errors);
  for (const [index, { key, operator, values }] of (selector.matchExpressions ?? []).entries()) {
    const at = `${path}.matchExpressions[${index}]`;
    if (operator === 'In' || operator === 'NotIn') {
      if (!values?.length)
        errors.push(required(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
    } else if (operator === 'Exists' || operator === 'DoesNotExist') {
      if (values?.length)
        errors.push(forbidden(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
    } else {
      errors.push(invalid(`${at}.operator`, operator, 'not a valid selector operator'));
    }
    const problem = qualifiedNameProblem(key ?? '');
    if (problem) errors.push(invalid(`${at}.key`, key, problem));
    for (const [i, value] of (values ?? []).entries()) {
      const valueProblem = labelValueProblem(value);
      if (valueProblem) errors.push(invalid(`${at}.values[${i}]`, value, valueProblem));
    }
  }
}

/** True for a selector that selects everything. */
export function isEmptySelector(selector: LabelSelector | undefined): boolean {
  return !selector || (Object.keys(selector.matchLabels ?? {}).length === 0 && !selector.matchExpressions?.length);
}
