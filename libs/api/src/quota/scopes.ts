import { selectorOf } from '../selectors/requirement';
import type { Operator } from '../selectors/requirement';
import { qosClassOf } from '../pod-qos';
import type { Pod, ResourceQuota } from '../types';

interface ScopeRequirement {
  scopeName: string;
  operator: string;
  values?: readonly string[] | undefined;
}

/** What a quota is limited to: its scopes and its scope selector. */
export function scopesOf({ spec }: ResourceQuota): ScopeRequirement[] {
  const plain = (spec?.scopes ?? []).map(scopeName => ({ scopeName, operator: 'Exists' }));
  return [...plain, ...(spec?.scopeSelector?.matchExpressions ?? [])];
}

/** Whether a pod is in a scope. Source: pkg/quota/v1/evaluator/core podMatchesScopeFunc. */
export function podInScope(pod: Pod, { scopeName, operator, values = [] }: ScopeRequirement): boolean {
  const terminating = (pod.spec?.activeDeadlineSeconds ?? -1) >= 0;
  switch (scopeName) {
    case 'Terminating':
      return terminating;
    case 'NotTerminating':
      return !terminating;
    case 'BestEffort':
      return qosClassOf(pod) === 'BestEffort';
    case 'NotBestEffort':
      return qosClassOf(pod) !== 'BestEffort';
    case 'PriorityClass': {
      const name = pod.spec?.priorityClassName;
      const requirement = { key: scopeName, operator: operator as Operator, values: [...values] };
      return selectorOf([requirement]).matches(name ? { [scopeName]: name } : {});
    }
    case 'CrossNamespacePodAffinity':
      return looksIntoOtherNamespaces(pod);
    default:
      return false;
  }
}

interface Term {
  namespaces?: string[] | undefined;
  namespaceSelector?: object | undefined;
}

function looksIntoOtherNamespaces({ spec }: Pod): boolean {
  const { podAffinity, podAntiAffinity } = spec?.affinity ?? {};
  const terms: (Term | undefined)[] = [podAffinity, podAntiAffinity].flatMap(affinity => [
    ...(affinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
    ...(affinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(weighted => weighted.podAffinityTerm),
  ]);
  return terms.some(term => (term?.namespaces?.length ?? 0) > 0 || term?.namespaceSelector !== undefined);
}
