import { labelSelectorOf, type AnyDefinition, type LabelSelector, type Selector } from '@naru/api';
import type { AdmissionDeps, AdmissionRequest } from '../plugin';
import { equivalentsOf } from './equivalents';
import { ruleMatches, type OperationRule } from './rules';
import { namespaceMatches, objectMatches } from './selectors';

/** Which requests a webhook, policy or binding is about. */
export interface MatchCriteria {
  /** Undefined: all. */
  rules: readonly OperationRule[] | undefined;
  excluded: readonly OperationRule[];
  equivalent: boolean;
  namespaceSelector: Selector;
  objectSelector: Selector;
}

/** admissionregistration's MatchResources, and what webhooks say alike. */
export interface MatchResources {
  resourceRules?: OperationRule[] | undefined;
  excludeResourceRules?: OperationRule[] | undefined;
  matchPolicy?: string | undefined;
  namespaceSelector?: LabelSelector | undefined;
  objectSelector?: LabelSelector | undefined;
}

export function matchCriteria(match: MatchResources = {}): MatchCriteria {
  return {
    rules: match.resourceRules?.length ? match.resourceRules : undefined,
    excluded: match.excludeResourceRules ?? [],
    equivalent: match.matchPolicy !== 'Exact',
    namespaceSelector: labelSelectorOf(match.namespaceSelector ?? {}),
    objectSelector: labelSelectorOf(match.objectSelector ?? {}),
  };
}

/** The version of the request's resource that the criteria ask for; undefined when the request is not meant. */
export function matchedVersion(
  { rules, excluded, equivalent, namespaceSelector, objectSelector }: MatchCriteria,
  request: AdmissionRequest,
  deps: AdmissionDeps,
): AnyDefinition | undefined {
  const { definition } = request;
  const find = (wanted: readonly OperationRule[]): AnyDefinition | undefined => {
    const wants = ({ type }: AnyDefinition): boolean => wanted.some(rule => ruleMatches(rule, request, type));
    if (wants(definition)) return definition;
    return equivalent ? equivalentsOf(definition, deps.scheme).find(wants) : undefined;
  };
  const found = rules ? find(rules) : definition;
  if (!found || (excluded.length > 0 && find(excluded))) return undefined;
  if (!namespaceMatches(namespaceSelector, request, deps)) return undefined;
  return objectMatches(objectSelector, request) ? found : undefined;
}
