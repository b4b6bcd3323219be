import type { PodSpec } from '../../types';
import { forbidden, invalid, required, type FieldError } from '../field-error';
import { validateLabelSelector } from '../label-selector';
import { dnsLabelProblem, dnsSubdomainProblem, labelValueProblem, qualifiedNameProblem } from '../names';
import { validateLabelKeys } from './label-keys';

type Affinity = NonNullable<PodSpec['affinity']>;
type NodeAffinity = NonNullable<Affinity['nodeAffinity']>;
type NodeTerm = NonNullable<
  NodeAffinity['requiredDuringSchedulingIgnoredDuringExecution']
>['nodeSelectorTerms'][number];
type Requirement = NonNullable<NodeTerm['matchFields']>[number];
type PodTerm = NonNullable<
  NonNullable<Affinity['podAffinity']>['requiredDuringSchedulingIgnoredDuringExecution']
>[number];

const requiredTerms = 'requiredDuringSchedulingIgnoredDuringExecution';
const preferredTerms = 'preferredDuringSchedulingIgnoredDuringExecution';

export function validateAffinity(affinity: Affinity | undefined, path: string, errors: FieldError[]): void {
  if (!affinity) return;
  if (affinity.nodeAffinity) validateNodeAffinity(affinity.nodeAffinity, `${path}.nodeAffinity`, errors);
  for (const kind of ['podAffinity', 'podAntiAffinity'] as const) {
    const terms = affinity[kind];
    for (const [index, term] of (terms?.[requiredTerms] ?? []).entries())
      validatePodTerm(term, `${path}.${kind}.${requiredTerms}[${index}]`, errors);
    for (const [index, { weight, podAffinityTerm }] of (terms?.[preferredTerms] ?? []).entries()) {
      const at = `${path}.${kind}.${preferredTerms}[${index}]`;
      validateWeight(weight, at, errors);
      if (podAffinityTerm) validatePodTerm(podAffinityTerm, `${at}.podAffinityTerm`, errors);
    }
  }
}

function validateNodeAffinity(affinity: NodeAffinity, path: string, errors: FieldError[]): void {
  const hard = affinity[requiredTerms];
  if (hard) {
    const at = `${path}.${requiredTerms}.nodeSelectorTerms`;
    if (!hard.nodeSelectorTerms?.length) errors.push(required(at, 'must have at least one node selector term'));
    for (const [index, term] of (hard.nodeSelectorTerms ?? []).entries()) {
      validateNodeTerm(term, `${at}[${index}]`, errors);
      validateValues(term, `${at}[${index}]`, errors);
    }
  }
  for (const [index, { weight, preference }] of (affinity[preferredTerms] ?? []).entries()) {
    const at = `${path}.${preferredTerms}[${index}]`;
    validateWeight(weight, at, errors);
    if (preference) validateNodeTerm(preference, `${at}.preference`, errors);
  }
}

function validateWeight(weight: number, at: string, errors: FieldError[]): void {
  if (!(weight >= 1 && weight <= 100)) errors.push(invalid(`${at}.weight`, weight, 'must be in the range 1-100'));
}

function validateNodeTerm(term: NodeTerm, path: string, errors: FieldError[]): void {
  for (const [index, { key, operator, values }] of (term.matchExpressions ?? []).entries()) {
    const at = `${path}.matchExpressions[${index}]`;
    const count = values?.length ?? 0;
    if (operator === 'In' || operator === 'NotIn') {
      if (count === 0) errors.push(required(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
    } else if (operator === 'Exists' || operator === 'DoesNotExist') {
      if (count > 0)
        errors.push(forbidden(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
    } else if (operator === 'Gt' || operator === 'Lt') {
      if (count !== 1)
        errors.push(required(`${at}.values`, "must be specified single value when `operator` is 'Lt' or 'Gt'"));
    } else {
      errors.push(invalid(`${at}.operator`, operator, 'not a valid selector operator'));
    }
    const problem = qualifiedNameProblem(key ?? '');
    if (problem) errors.push(invalid(`${at}.key`, key, problem));
  }
  for (const [index, requirement] of (term.matchFields ?? []).entries())
    validateField(requirement, `${path}.matchFields[${index}]`, errors);
}

/** Of a node's fields only its name can be asked for, and one at a time. */
function validateField({ key, operator, values = [] }: Requirement, at: string, errors: FieldError[]): void {
  if (operator !== 'In' && operator !== 'NotIn')
    errors.push(invalid(`${at}.operator`, operator, 'not a valid selector operator'));
  else if (values.length !== 1)
    errors.push(
      required(`${at}.values`, "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"),
    );
  if (key !== 'metadata.name') {
    errors.push(invalid(`${at}.key`, key, 'not a valid field selector key'));
    return;
  }
  for (const [index, value] of values.entries()) {
    const problem = dnsSubdomainProblem(value);
    if (problem) errors.push(invalid(`${at}.values[${index}]`, value, problem));
  }
}

/** Of a term that only prefers nodes they are not looked at: it does no harm when it matches none. */
function validateValues({ matchExpressions }: NodeTerm, path: string, errors: FieldError[]): void {
  for (const [index, { values }] of (matchExpressions ?? []).entries())
    for (const [position, value] of (values ?? []).entries()) {
      const problem = labelValueProblem(value);
      if (problem) errors.push(invalid(`${path}.matchExpressions[${index}].values[${position}]`, value, problem));
    }
}

function validatePodTerm(term: PodTerm, path: string, errors: FieldError[]): void {
  validateLabelSelector(term.labelSelector, `${path}.labelSelector`, errors);
  validateLabelSelector(term.namespaceSelector, `${path}.namespaceSelector`, errors);
  for (const name of term.namespaces ?? []) {
    const problem = dnsLabelProblem(name);
    if (problem) errors.push(invalid(`${path}.namespace`, name, problem));
  }
  validateLabelKeys(term, path, errors);
  if (!term.topologyKey) {
    errors.push(required(`${path}.topologyKey`, 'can not be empty'));
    return;
  }
  const problem = qualifiedNameProblem(term.topologyKey);
  if (problem) errors.push(invalid(`${path}.topologyKey`, term.topologyKey, problem));
}
