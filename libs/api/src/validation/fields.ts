import { invalid, notSupported, required, type FieldError } from './field-error';
import type { NameRule } from './names';

/** A choice that must be made. */
export function validateOneOf(
  value: string | undefined,
  allowed: readonly string[],
  path: string,
  errors: FieldError[],
  detail = '',
): void {
  if (!value) errors.push(required(path, detail));
  else validateChoice(value, allowed, path, errors);
}

/** A choice that may be left out; given, it is one of these. */
export function validateChoice(
  value: string | undefined,
  allowed: readonly string[],
  path: string,
  errors: FieldError[],
): void {
  if (value !== undefined && !allowed.includes(value)) errors.push(notSupported(path, value, allowed));
}

/** A name that may be left out. */
export function validateName(value: string | undefined, rule: NameRule, path: string, errors: FieldError[]): void {
  if (!value) return;
  const problem = rule(value);
  if (problem) errors.push(invalid(path, value, problem));
}

/** A name that must be there. */
export function validateRequiredName(
  value: string | undefined,
  rule: NameRule,
  path: string,
  errors: FieldError[],
  detail = '',
): void {
  if (!value) errors.push(required(path, detail));
  else validateName(value, rule, path, errors);
}
