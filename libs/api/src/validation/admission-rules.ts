import type { ValidatingAdmissionPolicy, ValidatingWebhookConfiguration } from '../types';
import { duplicate, invalid, notSupported, required, tooMany, type FieldError } from './field-error';
import { validateRequiredName } from './fields';
import { validateLabelSelector } from './label-selector';
import { pathSegmentProblem, qualifiedNameProblem } from './names';

type Webhook = NonNullable<ValidatingWebhookConfiguration['webhooks']>[number];
type Rule = NonNullable<Webhook['rules']>[number];
type MatchCondition = NonNullable<Webhook['matchConditions']>[number];
export type MatchResources = NonNullable<NonNullable<ValidatingAdmissionPolicy['spec']>['matchConstraints']>;
type NamedRule = NonNullable<MatchResources['resourceRules']>[number];

export const failurePolicies = ['Fail', 'Ignore'];
export const matchPolicies = ['Equivalent', 'Exact'];
const operations = ['*', 'CONNECT', 'CREATE', 'DELETE', 'UPDATE'];
const scopes = ['*', 'Cluster', 'Namespaced'];
const maxConditions = 64;

export function defaultRules(rules: readonly Rule[] | undefined): void {
  for (const rule of rules ?? []) rule.scope ??= '*';
}

export function defaultMatchResources(match: MatchResources | undefined): void {
  if (!match) return;
  match.matchPolicy ??= 'Equivalent';
  match.namespaceSelector ??= {};
  match.objectSelector ??= {};
  defaultRules(match.resourceRules);
  defaultRules(match.excludeResourceRules);
}

/** What a webhook or a policy is asked about. Source: pkg/apis/admissionregistration/validation. */
export function validateRule(rule: Rule, path: string, errors: FieldError[]): void {
  validateWildcard(rule.operations, `${path}.operations`, 'operations', errors);
  for (const [index, operation] of (rule.operations ?? []).entries())
    if (!operations.includes(operation))
      errors.push(notSupported(`${path}.operations[${index}]`, operation, operations));
  validateWildcard(rule.apiGroups, `${path}.apiGroups`, 'API groups', errors);
  validateWildcard(rule.apiVersions, `${path}.apiVersions`, 'API versions', errors);
  for (const [index, version] of (rule.apiVersions ?? []).entries())
    if (version === '') errors.push(required(`${path}.apiVersions[${index}]`));
  validateResources(rule.resources, `${path}.resources`, errors);
  if (rule.scope !== undefined && !scopes.includes(rule.scope))
    errors.push(notSupported(`${path}.scope`, rule.scope, scopes));
}

function validateWildcard(
  values: readonly string[] | undefined,
  path: string,
  what: string,
  errors: FieldError[],
): void {
  if (!values?.length) errors.push(required(path));
  else if (values.length > 1 && values.includes('*'))
    errors.push(invalid(path, values, `if '*' is present, must not specify other ${what}`));
}

function validateResources(resources: readonly string[] | undefined, path: string, errors: FieldError[]): void {
  const all = resources ?? [];
  if (all.length === 0) errors.push(required(path));
  const everySubresourceOf = new Set<string>();
  const everyResourceWith = new Set<string>();
  for (const [index, text] of all.entries()) {
    const at = `${path}[${index}]`;
    if (text === '') errors.push(required(at));
    const slash = text.indexOf('/');
    if (slash < 0) continue;
    const resource = text.slice(0, slash);
    const subresource = text.slice(slash + 1);
    if (everySubresourceOf.has(resource))
      errors.push(invalid(at, text, `if '${resource}/*' is present, must not specify ${text}`));
    if (everyResourceWith.has(subresource))
      errors.push(invalid(at, text, `if '*/${subresource}' is present, must not specify ${text}`));
    if (subresource === '*') everySubresourceOf.add(resource);
    if (resource === '*') everyResourceWith.add(subresource);
  }
  if (all.length > 1 && all.includes('*/*'))
    errors.push(invalid(path, all, "if '*/*' is present, must not specify other resources"));
  if (all.includes('*') && all.some(text => text !== '*' && text !== '' && !text.includes('/')))
    errors.push(invalid(path, all, "if '*' is present, must not specify other resources without subresources"));
}

export function validateMatchResources(match: MatchResources | undefined, path: string, errors: FieldError[]): void {
  if (!match) return;
  if (!match.matchPolicy) errors.push(required(`${path}.matchPolicy`));
  else if (!matchPolicies.includes(match.matchPolicy))
    errors.push(notSupported(`${path}.matchPolicy`, match.matchPolicy, matchPolicies));
  validateLabelSelector(match.namespaceSelector, `${path}.namespaceSelector`, errors);
  validateLabelSelector(match.objectSelector, `${path}.objectSelector`, errors);
  for (const field of ['resourceRules', 'excludeResourceRules'] as const)
    for (const [index, rule] of (match[field] ?? []).entries())
      validateNamedRule(rule, `${path}.${field}[${index}]`, errors);
}

function validateNamedRule(rule: NamedRule, path: string, errors: FieldError[]): void {
  const seen = new Set<string>();
  for (const [index, name] of (rule.resourceNames ?? []).entries()) {
    const at = `${path}.resourceNames[${index}]`;
    const problem = pathSegmentProblem(name);
    if (problem) errors.push(invalid(at, name, problem));
    if (seen.has(name)) errors.push(duplicate(at, name));
    seen.add(name);
  }
  validateRule(rule as Rule, path, errors);
}

/** The form alone: whether the expressions compile is asked where CEL is loaded. */
export function validateMatchConditions(
  conditions: readonly MatchCondition[] | undefined,
  path: string,
  errors: FieldError[],
): void {
  const all = conditions ?? [];
  if (all.length > maxConditions) errors.push(tooMany(path, all.length, maxConditions));
  const seen = new Set<string>();
  for (const [index, { name, expression }] of all.entries()) {
    if (!expression?.trim()) errors.push(required(`${path}[${index}].expression`));
    validateRequiredName(name, qualifiedNameProblem, `${path}[${index}].name`, errors);
    if (name && seen.has(name)) errors.push(duplicate(`${path}[${index}].name`, name));
    seen.add(name);
  }
}
