import type { ResourceQuota } from '../types';
import { invalid, notSupported, required, type FieldError } from './field-error';
import { qualifiedNameProblem } from './names';
import { validateAmount } from './quantities';

type Spec = NonNullable<ResourceQuota['spec']>;

const computed = new Set(
  `cpu memory ephemeral-storage requests.cpu requests.memory requests.ephemeral-storage limits.cpu limits.memory
  limits.ephemeral-storage`.split(/\s+/),
);
const counted = new Set(
  `pods services replicationcontrollers resourcequotas secrets configmaps persistentvolumeclaims services.nodeports
  services.loadbalancers`.split(/\s+/),
);
const hugePages = /^(requests\.)?hugepages-/;
/** Each scope with its opposite, which a quota cannot have too. */
const opposites: Record<string, string | undefined> = {
  BestEffort: 'NotBestEffort',
  NotBestEffort: 'BestEffort',
  Terminating: 'NotTerminating',
  NotTerminating: 'Terminating',
  PriorityClass: undefined,
  CrossNamespacePodAffinity: undefined,
  VolumeAttributesClass: undefined,
};
const operators = ['DoesNotExist', 'Exists', 'In', 'NotIn'];
/** These scopes are there or not: they have no values. */
const withoutValues = new Set([
  'Terminating',
  'NotTerminating',
  'BestEffort',
  'NotBestEffort',
  'CrossNamespacePodAffinity',
]);

/** Source: pkg/apis/core/validation.ValidateResourceQuotaSpec. */
export function validateResourceQuota({ spec = {} }: ResourceQuota, errors: FieldError[]): void {
  validateAmounts(spec.hard, 'spec.hard', errors);
  const names = spec.scopes ?? [];
  validateScopes(names, spec, 'spec.scopes', errors);
  const selected = spec.scopeSelector?.matchExpressions ?? [];
  const path = 'spec.scopeSelector.matchExpressions';
  for (const { scopeName, operator, values = [] } of selected) {
    if (!operators.includes(operator)) errors.push(notSupported(`${path}.operator`, operator ?? '', operators));
    if (withoutValues.has(scopeName) && operator !== 'Exists')
      errors.push(
        invalid(
          `${path}.operator`,
          operator,
          `must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity`,
        ),
      );
    if ((operator === 'In' || operator === 'NotIn') && values.length === 0)
      errors.push(
        required(`${path}.values`, "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"),
      );
    if ((operator === 'Exists' || operator === 'DoesNotExist') && values.length > 0)
      errors.push(
        invalid(
          `${path}.values`,
          values,
          "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector",
        ),
      );
  }
  validateScopes(
    selected.map(({ scopeName }) => scopeName),
    spec,
    path,
    errors,
  );
}

export function validateResourceQuotaStatus({ status }: ResourceQuota, errors: FieldError[]): void {
  validateAmounts(status?.hard, 'status.hard', errors);
  validateAmounts(status?.used, 'status.used', errors);
}

function validateAmounts(amounts: Spec['hard'], path: string, errors: FieldError[]): void {
  for (const name in amounts) {
    const at = `${path}[${name}]`;
    const problem = qualifiedNameProblem(name);
    if (problem) errors.push(invalid(at, name, problem));
    else if (!isQuotaResource(name)) errors.push(invalid(at, name, 'must be a standard resource for quota'));
    validateAmount(amounts[name], at, errors, { integer: counted.has(name) || name.startsWith('count/') });
  }
}

function isQuotaResource(name: string): boolean {
  return (
    name.includes('/') || computed.has(name) || counted.has(name) || name === 'requests.storage' || hugePages.test(name)
  );
}

function validateScopes(scopes: readonly string[], { hard }: Spec, path: string, errors: FieldError[]): void {
  for (const scope of scopes) {
    if (!Object.hasOwn(opposites, scope)) errors.push(invalid(path, scopes, 'unsupported scope'));
    for (const name in hard)
      if (!isInScope(name, scope)) errors.push(invalid(path, scopes, 'unsupported scope applied to resource'));
  }
  if (scopes.some(scope => opposites[scope] !== undefined && scopes.includes(opposites[scope])))
    errors.push(invalid(path, scopes, 'conflicting scopes'));
}

function isInScope(name: string, scope: string): boolean {
  if (scope === 'VolumeAttributesClass') return name === 'requests.storage' || name === 'persistentvolumeclaims';
  // What a pod asks nothing of cannot be summed up.
  if (scope === 'BestEffort') return name === 'pods' || name === 'count/pods';
  return !Object.hasOwn(opposites, scope) || name === 'pods' || name === 'count/pods' || computed.has(name);
}
