import type { LabelSelector, PodSpec } from '../../types';
import { duplicate, forbidden, invalid, required, type FieldError } from '../field-error';
import { validateChoice } from '../fields';
import { validateLabelSelector } from '../label-selector';
import { qualifiedNameProblem } from '../names';

const actions = ['DoNotSchedule', 'ScheduleAnyway'];
const nodePolicies = ['Honor', 'Ignore'];
const notPositive = 'must be greater than zero';

/** Source: core validation validateTopologySpreadConstraints. */
export function validateSpread({ topologySpreadConstraints }: PodSpec, path: string, errors: FieldError[]): void {
  const kinds = new Set<string>();
  for (const [index, constraint] of (topologySpreadConstraints ?? []).entries()) {
    const at = `${path}.topologySpreadConstraints[${index}]`;
    const { maxSkew, topologyKey, whenUnsatisfiable, minDomains, labelSelector } = constraint;
    if (!(maxSkew > 0)) errors.push(invalid(`${at}.maxSkew`, maxSkew, notPositive));
    if (!topologyKey) errors.push(required(`${at}.topologyKey`, 'can not be empty'));
    validateChoice(whenUnsatisfiable ?? '', actions, `${at}.whenUnsatisfiable`, errors);
    const kind = `{${topologyKey}, ${whenUnsatisfiable}}`;
    if (kinds.has(kind)) errors.push(duplicate(`${at}.{topologyKey, whenUnsatisfiable}`, kind));
    kinds.add(kind);
    if (minDomains !== undefined && minDomains <= 0) errors.push(invalid(`${at}.minDomains`, minDomains, notPositive));
    if (minDomains !== undefined && whenUnsatisfiable !== 'DoNotSchedule') {
      const why = `can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ${whenUnsatisfiable}`;
      errors.push(invalid(`${at}.minDomains`, minDomains, why));
    }
    for (const field of ['nodeAffinityPolicy', 'nodeTaintsPolicy'] as const)
      validateChoice(constraint[field], nodePolicies, `${at}.${field}`, errors);
    validateMatchKeys(constraint.matchLabelKeys, labelSelector, `${at}.matchLabelKeys`, errors);
    validateLabelSelector(labelSelector, `${at}.labelSelector`, errors);
  }
}

function validateMatchKeys(
  keys: readonly string[] | undefined,
  selector: LabelSelector | undefined,
  path: string,
  errors: FieldError[],
): void {
  validateLabelKeys(keys, selector, path, errors);
  const { matchLabels = {}, matchExpressions = [] } = selector ?? {};
  const selected = new Set([...Object.keys(matchLabels), ...matchExpressions.map(({ key }) => key)]);
  for (const [index, key] of (keys ?? []).entries())
    if (selected.has(key))
      errors.push(invalid(`${path}[${index}]`, key, 'exists in both matchLabelKeys and labelSelector'));
}

/** Keys of labels whose values a pod adds to a selector. Source: validateLabelKeys. */
export function validateLabelKeys(
  keys: readonly string[] | undefined,
  selector: LabelSelector | undefined,
  path: string,
  errors: FieldError[],
): void {
  if (!keys?.length) return;
  if (!selector) errors.push(forbidden(path, 'must not be specified when labelSelector is not set'));
  for (const [index, key] of keys.entries()) {
    const problem = qualifiedNameProblem(key);
    if (problem) errors.push(invalid(`${path}[${index}]`, key, problem));
  }
}
