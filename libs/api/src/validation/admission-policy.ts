import type {
  MutatingAdmissionPolicy,
  MutatingAdmissionPolicyBinding,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
} from '../types';
import { failurePolicies, validateMatchConditions, validateMatchResources } from './admission-rules';
import { duplicate, forbidden, invalid, notSupported, required, type FieldError } from './field-error';
import { validateChoice, validateName, validateOneOf, validateRequiredName } from './fields';
import { validateLabelSelector } from './label-selector';
import { dns1035Problem, dnsSubdomainProblem, pathSegmentProblem, qualifiedNameProblem } from './names';

type AnyPolicy = MutatingAdmissionPolicy | ValidatingAdmissionPolicy;
type AnyBinding = MutatingAdmissionPolicyBinding | ValidatingAdmissionPolicyBinding;
type ParamRef = NonNullable<NonNullable<AnyBinding['spec']>['paramRef']>;
type Validation = NonNullable<NonNullable<ValidatingAdmissionPolicy['spec']>['validations']>[number];

const reasons = ['Forbidden', 'Invalid', 'RequestEntityTooLarge', 'Unauthorized'];
const actions = ['Audit', 'Deny', 'Warn'];
const notFoundActions = ['Deny', 'Allow'];
const patchTypes = ['ApplyConfiguration', 'JSONPatch'];
const reinvocationPolicies = ['IfNeeded', 'Never'];
const maxAuditAnnotations = 20;
const maxValueBytes = 5 * 1024;
const identifier = /^[_a-zA-Z][_a-zA-Z0-9]*$/;
const reserved = new Set(
  'true false null in as break const continue else for function if import let loop package namespace return var void while'.split(
    ' ',
  ),
);

/** What both kinds of policy share. Source: pkg/apis/admissionregistration/validation. */
function validatePolicy({ spec }: AnyPolicy, errors: FieldError[]): void {
  validateOneOf(spec?.failurePolicy, failurePolicies, 'spec.failurePolicy', errors);
  validateParamKind(spec?.paramKind, errors);
  const match = spec?.matchConstraints;
  if (!match) errors.push(required('spec.matchConstraints'));
  validateMatchResources(match, 'spec.matchConstraints', errors);
  // Without a rule nothing is known of the types.
  if (match && !match.resourceRules?.length) errors.push(required('spec.matchConstraints.resourceRules'));
  validateMatchConditions(spec?.matchConditions, 'spec.matchConditions', errors);
  for (const [index, { name, expression }] of (spec?.variables ?? []).entries()) {
    const at = `spec.variables[${index}]`;
    if (!name?.trim()) errors.push(required(`${at}.name`, 'name is not specified'));
    else if (!identifier.test(name) || reserved.has(name))
      errors.push(invalid(`${at}.name`, name, 'name is not a valid CEL identifier'));
    requireExpression(expression, at, errors);
  }
}

function requireExpression(expression: string | undefined, path: string, errors: FieldError[]): void {
  if (!expression?.trim()) errors.push(required(`${path}.expression`, 'expression is not specified'));
}

function validateParamKind(kind: NonNullable<AnyPolicy['spec']>['paramKind'], errors: FieldError[]): void {
  if (!kind) return;
  const path = 'spec.paramKind';
  const parts = (kind.apiVersion ?? '').split('/');
  const [version = '', group = ''] = [...parts].reverse();
  if (!kind.apiVersion) errors.push(required(`${path}.apiVersion`));
  else if (parts.length > 2)
    errors.push(invalid(`${path}.apiVersion`, kind.apiVersion, `unexpected GroupVersion string: ${kind.apiVersion}`));
  else {
    validateName(group, dnsSubdomainProblem, `${path}.apiVersion`, errors);
    if (version === '') errors.push(invalid(`${path}.apiVersion`, kind.apiVersion, 'version must be specified'));
    validateName(version, dns1035Problem, `${path}.apiVersion`, errors);
  }
  const problem = kind.kind && dns1035Problem(kind.kind.toLowerCase());
  if (!kind.kind) errors.push(required(`${path}.kind`));
  else if (problem)
    errors.push(invalid(`${path}.kind`, kind.kind, `may have mixed case, but should otherwise match: ${problem}`));
}

export function validateValidatingPolicy(o: ValidatingAdmissionPolicy, errors: FieldError[]): void {
  validatePolicy(o, errors);
  const { validations = [], auditAnnotations = [] } = o.spec ?? {};
  if (validations.length + auditAnnotations.length === 0) {
    const detail = 'validations or auditAnnotations must contain at least one item';
    errors.push(required('spec.validations', detail), required('spec.auditAnnotations', detail));
  }
  for (const [index, validation] of validations.entries())
    validateValidation(validation, `spec.validations[${index}]`, errors);
  validateAuditAnnotations(o, errors);
}

function validateValidation(validation: Validation, at: string, errors: FieldError[]): void {
  const { expression, message, messageExpression, reason } = validation;
  requireExpression(expression, at, errors);
  if (messageExpression && !messageExpression.trim())
    errors.push(invalid(`${at}.messageExpression`, messageExpression, 'must be non-empty if specified'));
  if (message && !message.trim())
    errors.push(invalid(`${at}.message`, message, 'message must be non-empty if specified'));
  else if (message && /[\n\r]/.test(message.trim()))
    errors.push(invalid(`${at}.message`, message, 'message must not contain line breaks'));
  validateChoice(reason, reasons, `${at}.reason`, errors);
}

function validateAuditAnnotations({ metadata, spec }: ValidatingAdmissionPolicy, errors: FieldError[]): void {
  const annotations = spec?.auditAnnotations ?? [];
  const path = 'spec.auditAnnotations';
  if (annotations.length > maxAuditAnnotations)
    errors.push(invalid(path, annotations, `must not have more than ${maxAuditAnnotations} auditAnnotations`));
  const seen = new Set<string>();
  for (const [index, { key, valueExpression }] of annotations.entries()) {
    const at = `${path}[${index}]`;
    const full = `${metadata?.name ?? ''}/${key ?? ''}`;
    const problem = qualifiedNameProblem(full);
    if (problem) errors.push(invalid(`${at}.key`, full, problem));
    if (!valueExpression?.trim()) errors.push(required(`${at}.valueExpression`, 'valueExpression is not specified'));
    else if (valueExpression.trim().length > maxValueBytes)
      errors.push(required(`${at}.valueExpression`, `must not exceed ${maxValueBytes} bytes in length`));
    if (seen.has(key)) errors.push(duplicate(`${at}.key`, key));
    seen.add(key);
  }
}

export function validateMutatingPolicy(o: MutatingAdmissionPolicy, errors: FieldError[]): void {
  validatePolicy(o, errors);
  const { mutations = [], reinvocationPolicy } = o.spec ?? {};
  if (mutations.length === 0) errors.push(required('spec.mutations', 'mutations must contain at least one item'));
  for (const [index, { patchType, applyConfiguration, jsonPatch }] of mutations.entries()) {
    const at = `spec.mutations[${index}]`;
    validateOneOf(patchType, patchTypes, `${at}.patchType`, errors);
    const isApply = patchType === 'ApplyConfiguration';
    const [wanted, other] = isApply
      ? (['applyConfiguration', 'jsonPatch'] as const)
      : (['jsonPatch', 'applyConfiguration'] as const);
    if (!patchTypes.includes(patchType)) continue;
    const given = { applyConfiguration, jsonPatch };
    if (!given[wanted]) errors.push(required(`${at}.${wanted}`, `must be specified when patchType is ${patchType}`));
    else requireExpression(given[wanted].expression, `${at}.${wanted}`, errors);
    if (given[other])
      errors.push(invalid(`${at}.${other}`, '{}', `must not be specified when patchType is ${patchType}`));
  }
  validateOneOf(reinvocationPolicy, reinvocationPolicies, 'spec.reinvocationPolicy', errors);
}

function validatePolicyBinding({ spec }: AnyBinding, errors: FieldError[]): void {
  validateRequiredName(spec?.policyName, dnsSubdomainProblem, 'spec.policyName', errors);
  validateParamRef(spec?.paramRef, 'spec.paramRef', errors);
  validateMatchResources(spec?.matchResources, 'spec.matchResources', errors);
}

function validateParamRef(ref: ParamRef | undefined, path: string, errors: FieldError[]): void {
  if (!ref) return;
  validateName(ref.name, pathSegmentProblem, `${path}.name`, errors);
  validateLabelSelector(ref.selector, `${path}.selector`, errors);
  if (ref.name && ref.selector)
    for (const field of ['name', 'selector'])
      errors.push(forbidden(`${path}.${field}`, 'name and selector are mutually exclusive'));
  else if (!ref.name && !ref.selector) errors.push(required(path, 'one of name or selector must be specified'));
  validateOneOf(ref.parameterNotFoundAction, notFoundActions, `${path}.parameterNotFoundAction`, errors);
}

export function validateMutatingBinding(o: MutatingAdmissionPolicyBinding, errors: FieldError[]): void {
  validatePolicyBinding(o, errors);
}

export function validateValidatingBinding(o: ValidatingAdmissionPolicyBinding, errors: FieldError[]): void {
  validatePolicyBinding(o, errors);
  const given = o.spec?.validationActions ?? [];
  const path = 'spec.validationActions';
  const seen = new Set<string>();
  for (const [index, action] of given.entries()) {
    if (!actions.includes(action)) errors.push(notSupported(`${path}[${index}]`, action, actions));
    if (seen.has(action)) errors.push(duplicate(`${path}[${index}]`, action));
    seen.add(action);
  }
  if (seen.has('Deny') && seen.has('Warn'))
    errors.push(
      invalid(
        path,
        given,
        'must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)',
      ),
    );
  if (seen.size === 0) errors.push(required(path, 'at least one validation action is required'));
}
