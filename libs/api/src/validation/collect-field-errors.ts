import type { FieldError } from './field-error';

/** Nobody reads more of one object; to find and tell a million of them would keep the process from everything else for a minute. */
const maxFieldErrors = 1_000;

class EnoughErrors extends Error {}

/** What `validate` finds wrong. It is left in the middle when it has found more than is worth telling. */
export function collectFieldErrors(validate: (errors: FieldError[]) => void): FieldError[] {
  const errors: FieldError[] = [];
  const push = (...more: FieldError[]): number => {
    if (errors.length >= maxFieldErrors) throw new EnoughErrors();
    return Array.prototype.push.apply(errors, more);
  };
  try {
    validate(Object.defineProperty(errors, 'push', { value: push }));
  } catch (error) {
    if (!(error instanceof EnoughErrors)) throw error;
  }
  return [...errors];
}
