import {
  mutatingAdmissionPolicies,
  mutatingAdmissionPolicyBindings,
  validatingAdmissionPolicies,
  validatingAdmissionPolicyBindings,
} from '../resource';
import { integer, text } from '../table/columns';
import type {
  MutatingAdmissionPolicy,
  MutatingAdmissionPolicyBinding,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
} from '../types';
import {
  validateMutatingBinding,
  validateMutatingPolicy,
  validateValidatingBinding,
  validateValidatingPolicy,
} from '../validation/admission-policy';
import { defaultMatchResources } from '../validation/admission-rules';
import { defineKind } from './define-kind';

type AnyPolicy = MutatingAdmissionPolicy | ValidatingAdmissionPolicy;
type AnyBinding = MutatingAdmissionPolicyBinding | ValidatingAdmissionPolicyBinding;

function paramKindOf({ spec }: AnyPolicy): string {
  return spec?.paramKind ? `${spec.paramKind.apiVersion}/${spec.paramKind.kind}` : '<unset>';
}

function paramRefOf({ spec }: AnyBinding): string {
  const { namespace, name } = spec?.paramRef ?? {};
  if (!name) return '<unset>';
  return namespace ? `${namespace}/${name}` : name;
}

function defaultPolicy({ spec }: AnyPolicy): void {
  if (!spec) return;
  spec.failurePolicy ??= 'Fail';
  defaultMatchResources(spec.matchConstraints);
}

const paramKindColumn = text<AnyPolicy>('ParamKind', 'The kind that parametrizes the policy.', paramKindOf);
const binding = {
  categories: ['api-extensions'],
  needsVersion: true as const,
  hasGeneration: true,
  applyDefaults: (o: AnyBinding) => defaultMatchResources(o.spec?.matchResources),
  columns: [
    text<AnyBinding>('PolicyName', 'The policy that is bound.', o => o.spec?.policyName ?? ''),
    text<AnyBinding>('ParamRef', 'Its parameters.', paramRefOf),
  ],
};

export const validatingAdmissionPolicyKind = defineKind(validatingAdmissionPolicies, {
  categories: ['api-extensions'],
  subresources: { status: true },
  needsVersion: true,
  hasGeneration: true,
  applyDefaults: defaultPolicy,
  validate: validateValidatingPolicy,
  columns: [
    integer('Validations', 'How many validations it makes.', o => o.spec?.validations?.length ?? 0),
    paramKindColumn,
  ],
});

export const mutatingAdmissionPolicyKind = defineKind(mutatingAdmissionPolicies, {
  categories: ['api-extensions'],
  needsVersion: true,
  hasGeneration: true,
  applyDefaults: defaultPolicy,
  validate: validateMutatingPolicy,
  columns: [integer('Mutations', 'How many mutations it makes.', o => o.spec?.mutations?.length ?? 0), paramKindColumn],
});

export const validatingAdmissionPolicyBindingKind = defineKind(validatingAdmissionPolicyBindings, {
  ...binding,
  validate: validateValidatingBinding,
});
export const mutatingAdmissionPolicyBindingKind = defineKind(mutatingAdmissionPolicyBindings, {
  ...binding,
  validate: validateMutatingBinding,
});
