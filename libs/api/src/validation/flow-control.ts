import type { FlowSchema, PriorityLevelConfiguration } from '../types';
import { forbidden, invalid, notSupported, required, type FieldError } from './field-error';
import { validateChoice, validateOneOf, validateRequiredName } from './fields';
import { dnsSubdomainProblem } from './names';

type Rules = NonNullable<NonNullable<FlowSchema['spec']>['rules']>[number];
type Subject = Rules['subjects'][number];
type Limited = NonNullable<NonNullable<PriorityLevelConfiguration['spec']>['limited']>;
type Queuing = NonNullable<NonNullable<Limited['limitResponse']>['queuing']>;

const exempt = 'exempt';
const maxPrecedence = 10_000;
const maxQueues = 10_000_000;
const maxEntropyBits = 60;
const distinguishers = ['ByNamespace', 'ByUser'];
const levelTypes = ['Exempt', 'Limited'];
const responseTypes = ['Queue', 'Reject'];
/** The kinds of subjects, each with the field that says more about it. */
const subjectFields = { Group: 'group', ServiceAccount: 'serviceAccount', User: 'user' } as const;
const subjectKinds = Object.keys(subjectFields);

/** Source: pkg/apis/flowcontrol/validation. */
export function validateFlowSchema({ metadata, spec }: FlowSchema, errors: FieldError[]): void {
  const precedence = spec?.matchingPrecedence ?? 0;
  const path = 'spec.matchingPrecedence';
  if (precedence <= 0) errors.push(invalid(path, precedence, 'must be a positive value'));
  if (precedence > maxPrecedence) errors.push(invalid(path, precedence, `must not be greater than ${maxPrecedence}`));
  if (precedence === 1 && metadata?.name !== exempt)
    errors.push(invalid(path, precedence, "only the schema named 'exempt' may have matchingPrecedence 1"));
  if (spec?.distinguisherMethod)
    validateOneOf(spec.distinguisherMethod.type, distinguishers, 'spec.distinguisherMethod.type', errors);
  validateRequiredName(
    spec?.priorityLevelConfiguration?.name,
    dnsSubdomainProblem,
    'spec.priorityLevelConfiguration.name',
    errors,
    'must reference a priority level',
  );
  for (const [index, rules] of (spec?.rules ?? []).entries()) validateRules(rules, `spec.rules[${index}]`, errors);
}

function validateRules(rules: Rules, at: string, errors: FieldError[]): void {
  if (!rules.subjects?.length) errors.push(required(`${at}.subjects`, 'subjects must contain at least one value'));
  for (const [index, subject] of (rules.subjects ?? []).entries())
    validateSubject(subject, `${at}.subjects[${index}]`, errors);
  if (!rules.resourceRules?.length && !rules.nonResourceRules?.length)
    errors.push(required(at, 'at least one of resourceRules and nonResourceRules has to be non-empty'));
  for (const [index, rule] of (rules.resourceRules ?? []).entries()) {
    const path = `${at}.resourceRules[${index}]`;
    validateWords(rule.verbs, `${path}.verbs`, 'verbs must contain at least one value', 'verbs', errors);
    const must = 'resource rules must supply at least one';
    validateWords(rule.apiGroups, `${path}.apiGroups`, `${must} api group`, 'api groups', errors);
    validateWords(rule.resources, `${path}.resources`, `${must} resource`, 'resources', errors);
    if (!rule.namespaces?.length && !rule.clusterScope)
      errors.push(
        required(`${path}.namespaces`, 'resource rules that are not cluster scoped must supply at least one namespace'),
      );
    else if (rule.namespaces) validateWords(rule.namespaces, `${path}.namespaces`, '', 'namespaces', errors);
  }
  for (const [index, rule] of (rules.nonResourceRules ?? []).entries()) {
    const path = `${at}.nonResourceRules[${index}]`;
    validateWords(rule.verbs, `${path}.verbs`, 'verbs must contain at least one value', 'verbs', errors);
    const must = 'nonResourceURLs must contain at least one value';
    validateWords(rule.nonResourceURLs, `${path}.nonResourceURLs`, must, 'non-resource URLs', errors);
  }
}

function validateWords(
  words: readonly string[] | undefined,
  path: string,
  ifNone: string,
  what: string,
  errors: FieldError[],
): void {
  if (!words?.length) errors.push(required(path, ifNone));
  else if (words.length > 1 && words.includes('*'))
    errors.push(invalid(path, words, `if '*' is present, must not specify other ${what}`));
}

function validateSubject(subject: Subject, at: string, errors: FieldError[]): void {
  if (!subjectKinds.includes(subject.kind)) {
    errors.push(notSupported(`${at}.kind`, subject.kind ?? '', subjectKinds));
    return;
  }
  for (const [kind, field] of Object.entries(subjectFields)) {
    if (kind !== subject.kind) {
      if (subject[field])
        errors.push(forbidden(`${at}.${field}`, `${field} is forbidden when subject kind is not '${kind}'`));
      continue;
    }
    const given = subject[field] as { name?: string; namespace?: string } | undefined;
    if (!given) {
      errors.push(required(`${at}.${field}`, `${field} is required when subject kind is '${kind}'`));
      continue;
    }
    if (!given.name) errors.push(required(`${at}.${field}.name`));
    if (field === 'serviceAccount' && !given.namespace)
      errors.push(required(`${at}.${field}.namespace`, 'must specify namespace for service account'));
  }
}

export function validatePriorityLevel(o: PriorityLevelConfiguration, errors: FieldError[]): void {
  const { type, limited, exempt: exemption } = o.spec ?? {};
  const isExempt = type === 'Exempt';
  if (type && isExempt !== (o.metadata?.name === exempt))
    errors.push(invalid('spec.type', type, "type must be 'Exempt' if and only if name is 'exempt'"));
  validateChoice(type ?? '', levelTypes, 'spec.type', errors);
  if (isExempt && limited) errors.push(forbidden('spec.limited', 'must be nil if the type is Exempt'));
  if (type === 'Limited') {
    if (exemption) errors.push(forbidden('spec.exempt', 'must be nil if the type is Limited'));
    if (limited) validateLimited(limited, errors);
    else errors.push(required('spec.limited', 'must not be empty when type is Limited'));
  }
}

function validateLimited(limited: Limited, errors: FieldError[]): void {
  const { nominalConcurrencyShares: shares = 0, lendablePercent = 0, borrowingLimitPercent, limitResponse } = limited;
  if (shares < 0)
    errors.push(invalid('spec.limited.nominalConcurrencyShares', shares, 'must be a non-negative integer'));
  if (lendablePercent < 0 || lendablePercent > 100)
    errors.push(invalid('spec.limited.lendablePercent', lendablePercent, 'must be between 0 and 100, inclusive'));
  if (borrowingLimitPercent !== undefined && borrowingLimitPercent < 0)
    errors.push(
      invalid(
        'spec.limited.borrowingLimitPercent',
        borrowingLimitPercent,
        'if specified, must be a non-negative integer',
      ),
    );
  const path = 'spec.limited.limitResponse';
  validateChoice(limitResponse?.type ?? '', responseTypes, `${path}.type`, errors);
  const queuing = limitResponse?.queuing;
  if (limitResponse?.type === 'Reject' && queuing)
    errors.push(forbidden(`${path}.queuing`, 'must be nil if limited.limitResponse.type is not Limited'));
  if (limitResponse?.type !== 'Queue') return;
  if (queuing) validateQueuing(queuing, `${path}.queuing`, errors);
  else errors.push(required(`${path}.queuing`, 'must not be empty if limited.limitResponse.type is Limited'));
}

function validateQueuing(
  { queues = 0, handSize = 0, queueLengthLimit = 0 }: Queuing,
  at: string,
  errors: FieldError[],
): void {
  for (const [field, value] of Object.entries({ queueLengthLimit, queues, handSize }))
    if (value <= 0) errors.push(invalid(`${at}.${field}`, value, 'must be positive'));
  if (queues > maxQueues) errors.push(invalid(`${at}.queues`, queues, `must not be greater than ${maxQueues}`));
  if (handSize > queues)
    errors.push(invalid(`${at}.handSize`, handSize, `should not be greater than queues (${queues})`));
  else if (entropyBits(queues, handSize) > maxEntropyBits)
    errors.push(
      invalid(
        `${at}.handSize`,
        handSize,
        `required entropy bits of deckSize ${queues} and handSize ${handSize} should not be greater than ${maxEntropyBits}`,
      ),
    );
}

/** How many bits it takes to deal a hand from the queues. */
function entropyBits(queues: number, handSize: number): number {
  let bits = 0;
  for (let dealt = 0; dealt < handSize && bits <= maxEntropyBits; dealt++) bits += Math.log2(queues - dealt);
  return Math.ceil(bits);
}
