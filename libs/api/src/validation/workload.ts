import type { LabelSelector, PodTemplateSpec } from '../types';
import { labelSelectorOf } from '../selectors/label-selector';
import { forbidden, invalid, notSupported, required, type FieldError } from './field-error';
import { isEmptySelector, validateLabelSelector } from './label-selector';
import { validatePodTemplate } from './pod/pod-spec';

/** A selector that must be there, must not select everything, and must match the template's labels. */
export function validateSelectorAndTemplate(
  selector: LabelSelector | undefined,
  template: PodTemplateSpec | undefined,
  kind: string,
  errors: FieldError[],
): void {
  const before = errors.length;
  if (!selector) {
    errors.push(required('spec.selector'));
  } else {
    validateLabelSelector(selector, 'spec.selector', errors);
    if (isEmptySelector(selector))
      errors.push(invalid('spec.selector', selector, `empty selector is invalid for ${kind}`));
  }
  const labels = template?.metadata?.labels ?? {};
  if (selector && errors.length === before && !labelSelectorOf(selector).matches(labels))
    errors.push(invalid('spec.template.metadata.labels', labels, '`selector` does not match template `labels`'));
  validatePodTemplate(template, 'spec.template', errors);
}

/** Workloads that keep pods running take only restartPolicy Always and no deadline. */
export function validateLastingTemplate(
  template: PodTemplateSpec | undefined,
  kind: string,
  errors: FieldError[],
): void {
  const { restartPolicy, activeDeadlineSeconds } = template?.spec ?? {};
  if (restartPolicy && restartPolicy !== 'Always')
    errors.push(notSupported('spec.template.spec.restartPolicy', restartPolicy, ['Always']));
  if (activeDeadlineSeconds !== undefined)
    errors.push(
      forbidden('spec.template.spec.activeDeadlineSeconds', `activeDeadlineSeconds in ${kind} is not Supported`),
    );
}

export function validateNonNegative(value: number | undefined, path: string, errors: FieldError[]): void {
  if (value !== undefined && value < 0) errors.push(invalid(path, value, 'must be greater than or equal to 0'));
}

export const immutableMessage = 'field is immutable';
