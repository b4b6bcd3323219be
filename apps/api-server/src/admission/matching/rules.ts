import type { AdmissionRequest } from '../plugin';
import { isNamespaceObject, namespaceOf, operationNames, type GroupVersionResource } from './attributes';

/** admissionregistration's RuleWithOperations and NamedRuleWithOperations. */
export interface OperationRule {
  operations?: string[] | undefined;
  apiGroups?: string[] | undefined;
  apiVersions?: string[] | undefined;
  /** `pods`, `pods/status`, `pods/*`, `*`, any of these with a star for either part. */
  resources?: string[] | undefined;
  scope?: string | undefined;
  resourceNames?: string[] | undefined;
}

/** Whether a rule is about a request, were its resource `resource`. Source: apiserver admission predicates/rules. */
export function ruleMatches(
  { operations, apiGroups, apiVersions, resources, scope, resourceNames }: OperationRule,
  request: AdmissionRequest,
  resource: GroupVersionResource,
): boolean {
  return (
    has(operations, operationNames[request.operation]) &&
    has(apiGroups, resource.group) &&
    has(apiVersions, resource.version) &&
    (resources ?? []).some(pattern => resourceMatches(pattern, resource.resource, request.subresource)) &&
    scopeMatches(scope, request) &&
    (!resourceNames?.length || resourceNames.includes(request.name))
  );
}

function has(list: readonly string[] | undefined, value: string): boolean {
  return list !== undefined && (list.includes('*') || list.includes(value));
}

function resourceMatches(pattern: string, resource: string, subresource: string): boolean {
  const [wanted, wantedSub = ''] = pattern.split('/', 2);
  return (wanted === '*' || wanted === resource) && (wantedSub === '*' || wantedSub === subresource);
}

function scopeMatches(scope: string | undefined, request: AdmissionRequest): boolean {
  const isNamespaced = !isNamespaceObject(request) && namespaceOf(request) !== '';
  if (scope === 'Namespaced') return isNamespaced;
  return scope === 'Cluster' ? !isNamespaced : true;
}
