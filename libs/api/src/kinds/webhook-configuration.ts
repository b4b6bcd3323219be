import { mutatingWebhookConfigurations, validatingWebhookConfigurations } from '../resource';
import { integer } from '../table/columns';
import type { MutatingWebhookConfiguration, ValidatingWebhookConfiguration } from '../types';
import {
  defaultRules,
  failurePolicies,
  matchPolicies,
  validateMatchConditions,
  validateRule,
} from '../validation/admission-rules';
import { duplicate, invalid, notSupported, required, type FieldError } from '../validation/field-error';
import { validateChoice } from '../validation/fields';
import { validateLabelSelector } from '../validation/label-selector';
import { dns1035Problem, dnsLabelProblem } from '../validation/names';
import { defaultWebhookPort, validateWebhookClient } from '../validation/webhook-client';
import { defineKind } from './define-kind';

type AnyConfiguration = MutatingWebhookConfiguration | ValidatingWebhookConfiguration;
type Webhook = NonNullable<AnyConfiguration['webhooks']>[number];

const defaultTimeoutSeconds = 10;
const maxTimeoutSeconds = 30;
const reviewVersions = ['v1', 'v1beta1'];
const sideEffects = ['None', 'NoneOnDryRun'];
const reinvocationPolicies = ['IfNeeded', 'Never'];

/** Source: pkg/apis/admissionregistration/v1/defaults.go. */
function applyDefaults(o: AnyConfiguration): void {
  for (const hook of o.webhooks ?? []) {
    hook.failurePolicy ??= 'Fail';
    hook.matchPolicy ??= 'Equivalent';
    hook.namespaceSelector ??= {};
    hook.objectSelector ??= {};
    hook.timeoutSeconds ??= defaultTimeoutSeconds;
    if (hook.clientConfig?.service) hook.clientConfig.service.port ??= defaultWebhookPort;
    defaultRules(hook.rules);
  }
}

function validate(o: AnyConfiguration, errors: FieldError[]): void {
  const seen = new Set<string>();
  for (const [index, hook] of (o.webhooks ?? []).entries()) {
    const at = `webhooks[${index}]`;
    validateHook(hook, at, errors);
    if (hook.name && seen.has(hook.name)) errors.push(duplicate(`${at}.name`, hook.name));
    seen.add(hook.name);
  }
}

function validateHook(hook: Webhook, at: string, errors: FieldError[]): void {
  validateFullName(hook.name, `${at}.name`, errors);
  for (const [index, rule] of (hook.rules ?? []).entries()) validateRule(rule, `${at}.rules[${index}]`, errors);
  validateChoice(hook.failurePolicy, failurePolicies, `${at}.failurePolicy`, errors);
  validateChoice(hook.matchPolicy, matchPolicies, `${at}.matchPolicy`, errors);
  if (hook.sideEffects === undefined)
    errors.push(required(`${at}.sideEffects`, `must specify one of ${sideEffects.join(', ')}`));
  else if (!sideEffects.includes(hook.sideEffects))
    errors.push(notSupported(`${at}.sideEffects`, hook.sideEffects, sideEffects));
  const timeout = hook.timeoutSeconds;
  if (timeout !== undefined && (timeout < 1 || timeout > maxTimeoutSeconds))
    errors.push(invalid(`${at}.timeoutSeconds`, timeout, 'the timeout value must be between 1 and 30 seconds'));
  validateLabelSelector(hook.namespaceSelector, `${at}.namespaceSelector`, errors);
  validateLabelSelector(hook.objectSelector, `${at}.objectSelector`, errors);
  if ('reinvocationPolicy' in hook)
    validateChoice(hook.reinvocationPolicy, reinvocationPolicies, `${at}.reinvocationPolicy`, errors);
  validateWebhookClient(hook.clientConfig, `${at}.clientConfig`, errors);
  validateMatchConditions(hook.matchConditions, `${at}.matchConditions`, errors);
  validateReviewVersions(hook.admissionReviewVersions, `${at}.admissionReviewVersions`, errors);
}

const minSegments = 3;

function validateFullName(name: string | undefined, path: string, errors: FieldError[]): void {
  if (!name) {
    errors.push(required(path));
    return;
  }
  const segments = name.split('.');
  const problem = segments.map(dnsLabelProblem).find(found => found !== undefined);
  if (problem) errors.push(invalid(path, name, problem));
  else if (segments.length < minSegments)
    errors.push(invalid(path, name, 'should be a domain with at least three segments separated by dots'));
}

function validateReviewVersions(versions: readonly string[] | undefined, path: string, errors: FieldError[]): void {
  if (!versions?.length) {
    errors.push(required(path, `must specify one of ${reviewVersions.join(', ')}`));
    return;
  }
  const seen = new Set<string>();
  for (const [index, version] of versions.entries()) {
    const problem = seen.has(version) ? 'duplicate version' : dns1035Problem(version);
    if (problem) errors.push(invalid(`${path}[${index}]`, version, problem));
    seen.add(version);
  }
  if (!versions.some(version => reviewVersions.includes(version)))
    errors.push(invalid(path, versions, `must include at least one of ${reviewVersions.join(', ')}`));
}

const shared = {
  needsVersion: true as const,
  categories: ['api-extensions'],
  hasGeneration: (o: AnyConfiguration) => o.webhooks,
  validate,
  columns: [integer<AnyConfiguration>('Webhooks', 'How many webhooks it names.', o => o.webhooks?.length ?? 0)],
};

export const mutatingWebhookConfigurationKind = defineKind(mutatingWebhookConfigurations, {
  ...shared,
  applyDefaults: o => {
    applyDefaults(o);
    for (const hook of o.webhooks ?? []) hook.reinvocationPolicy ??= 'Never';
  },
});
export const validatingWebhookConfigurationKind = defineKind(validatingWebhookConfigurations, {
  ...shared,
  applyDefaults,
});
