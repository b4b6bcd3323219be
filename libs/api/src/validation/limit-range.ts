import { parseNano } from '../quantity';
import type { LimitRange } from '../types';
import { duplicate, forbidden, invalid, required, type FieldError } from './field-error';
import { validateRequiredName } from './fields';
import { qualifiedNameProblem } from './names';

type Item = LimitRangeSpec['limits'][number];
type LimitRangeSpec = NonNullable<LimitRange['spec']>;
type Field = 'min' | 'max' | 'default' | 'defaultRequest';

/** Pairs that may not cross: the first is not greater than the second. */
const order: [Field, Field, string, string][] = [
  ['min', 'max', 'min', 'max'],
  ['min', 'defaultRequest', 'min', 'default request'],
  ['min', 'default', 'min', 'default'],
  ['defaultRequest', 'max', 'default request', 'max'],
  ['default', 'max', 'default', 'max'],
  ['defaultRequest', 'default', 'default request', 'default limit'],
];

/** Source: pkg/apis/core/validation.ValidateLimitRange. */
export function validateLimitRange({ spec }: LimitRange, errors: FieldError[]): void {
  const seen = new Set<string>();
  for (const [index, item] of (spec?.limits ?? []).entries()) {
    const at = `spec.limits[${index}]`;
    validateRequiredName(item.type, qualifiedNameProblem, `${at}.type`, errors);
    if (seen.has(item.type)) errors.push(duplicate(`${at}.type`, item.type));
    seen.add(item.type);
    if (item.type === 'Pod')
      for (const field of ['default', 'defaultRequest'] as const)
        if (item[field]) errors.push(forbidden(`${at}.${field}`, "may not be specified when `type` is 'Pod'"));
    if (item.type === 'PersistentVolumeClaim' && !item.min?.['storage'] && !item.max?.['storage'])
      errors.push(
        required(`${at}.limits`, 'either minimum or maximum storage value is required, but neither was provided'),
      );
    validateItem(item, at, errors);
  }
}

/** Names are anybody's: `constructor` must not find what every object has. */
function amountOf(amounts: Item['min'], name: string): string | undefined {
  return amounts && Object.hasOwn(amounts, name) ? amounts[name] : undefined;
}

function validateItem(item: Item, at: string, errors: FieldError[]): void {
  const names = new Set(
    [item.min, item.max, item.default, item.defaultRequest, item.maxLimitRequestRatio].flatMap(amounts =>
      Object.keys(amounts ?? {}),
    ),
  );
  for (const name of names) {
    for (const field of ['min', 'max', 'default', 'defaultRequest', 'maxLimitRequestRatio'] as const) {
      const problem = amountOf(item[field], name) === undefined ? undefined : qualifiedNameProblem(name);
      if (problem) errors.push(invalid(`${at}.${field}[${name}]`, name, problem));
    }
    for (const [low, high, lowName, highName] of order) {
      const [a, b] = [amountOf(item[low], name), amountOf(item[high], name)];
      if (a === undefined || b === undefined || parseNano(a) <= parseNano(b)) continue;
      const field =
        low === 'min' && high === 'max'
          ? 'min'
          : low === 'defaultRequest'
            ? 'defaultRequest'
            : high === 'max'
              ? 'default'
              : high;
      errors.push(
        invalid(
          `${at}.${field}[${name}]`,
          field === high ? b : a,
          `${lowName} value ${a} is greater than ${highName} value ${b}`,
        ),
      );
    }
    validateRatio(item, name, at, errors);
  }
}

function validateRatio(item: Item, name: string, at: string, errors: FieldError[]): void {
  const ratio = amountOf(item.maxLimitRequestRatio, name);
  if (ratio === undefined) return;
  const path = `${at}.maxLimitRequestRatio[${name}]`;
  const value = Number(parseNano(ratio)) / 1e9;
  if (value < 1) errors.push(invalid(path, ratio, `ratio ${ratio} is less than 1`));
  const [min, max] = [amountOf(item.min, name), amountOf(item.max, name)];
  if (min === undefined || max === undefined) return;
  const widest = Number(parseNano(max)) / Number(parseNano(min));
  if (value > widest)
    errors.push(invalid(path, ratio, `ratio ${ratio} is greater than max/min = ${widest.toFixed(6)}`));
}
