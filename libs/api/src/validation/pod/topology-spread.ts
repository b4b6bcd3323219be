import type { PodSpec } from '../../types';
import { duplicate, invalid, required, type FieldError } from '../field-error';
import { validateChoice } from '../fields';
import { validateLabelSelector } from '../label-selector';
import { validateLabelKeys } from './label-keys';

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
    validateLabelKeys(constraint, at, errors);
    validateLabelSelector(labelSelector, `${at}.labelSelector`, errors);
  }
}
