import { StatusError, type StatusCause } from '@naru/foundation';
import type { ResourceType } from '../resource';

/** Upstream's error types (apimachinery field.ErrorType) with the words they open their message with. */
const wording = {
  FieldValueInvalid: 'Invalid value',
  FieldValueRequired: 'Required value',
  FieldValueNotSupported: 'Unsupported value',
  FieldValueDuplicate: 'Duplicate value',
  FieldValueForbidden: 'Forbidden',
  FieldValueNotFound: 'Not found',
  FieldValueTooLong: 'Too long',
  FieldValueTooMany: 'Too many',
  FieldValueTypeInvalid: 'Invalid value',
  InternalError: 'Internal error',
} as const;

export type FieldErrorType = keyof typeof wording;

/** One wrong field. `badValue` is shown as upstream shows it: strings quoted, objects as JSON. */
export interface FieldError {
  type: FieldErrorType;
  /** `spec.template.spec.containers[0].image` */
  field: string;
  badValue?: unknown;
  /** The value is too long to be shown. */
  omitValue?: true;
  detail: string;
}

export const invalid = (field: string, badValue: unknown, detail: string): FieldError => ({
  type: 'FieldValueInvalid',
  field,
  badValue,
  detail,
});
export const required = (field: string, detail = ''): FieldError => ({ type: 'FieldValueRequired', field, detail });
export const forbidden = (field: string, detail: string): FieldError => ({
  type: 'FieldValueForbidden',
  field,
  detail,
});
export const duplicate = (field: string, badValue: unknown): FieldError => ({
  type: 'FieldValueDuplicate',
  field,
  badValue,
  detail: '',
});
export const notFound = (field: string, badValue: unknown): FieldError => ({
  type: 'FieldValueNotFound',
  field,
  badValue,
  detail: '',
});
export const notSupported = (field: string, badValue: unknown, supported: readonly string[]): FieldError => ({
  type: 'FieldValueNotSupported',
  field,
  badValue,
  detail: `supported values: ${supported.map(s => JSON.stringify(s)).join(', ')}`,
});
export const tooLong = (field: string, maxLength: number): FieldError => ({
  type: 'FieldValueTooLong',
  field,
  detail: `may not be more than ${maxLength} bytes`,
});
export const tooMany = (field: string, actual: number, max: number): FieldError => ({
  type: 'FieldValueTooMany',
  field,
  badValue: actual,
  detail: `must have at most ${max} items`,
});

const withoutValue = new Set<FieldErrorType>([
  'FieldValueRequired',
  'FieldValueForbidden',
  'FieldValueTooLong',
  'InternalError',
]);

/** "Invalid value: -1: must be greater than or equal to 0": the message of a cause, without the field. */
export function describeFieldError(error: FieldError): string {
  let text: string = wording[error.type];
  if (!withoutValue.has(error.type) && !error.omitValue) text += `: ${describeValue(error.badValue)}`;
  return error.detail === '' ? text : `${text}: ${error.detail}`;
}

function describeValue(value: unknown): string {
  return value === undefined ? 'null' : (JSON.stringify(value) ?? String(value));
}

/** A wrong value is told with its error, and may be most of an object: so much text is enough. */
const maxTextLength = 256 * 1024;

function describeAll(errors: readonly FieldError[]): { lines: string[]; causes: StatusCause[] } {
  const lines: string[] = [];
  const causes: StatusCause[] = [];
  let length = 0;
  for (const error of errors) {
    if (length > maxTextLength) break;
    const message = describeFieldError(error);
    length += error.field.length + message.length;
    lines.push(`${error.field}: ${message}`);
    causes.push({ reason: error.type, message, field: error.field });
  }
  return { lines, causes };
}

/** The 422 that a write with `errors` is answered with; upstream's wording (apierrors.NewInvalid). */
export function invalidObject(
  type: Pick<ResourceType, 'group' | 'kind'>,
  name: string,
  errors: readonly FieldError[],
): StatusError {
  const qualified = type.group === '' ? type.kind : `${type.kind}.${type.group}`;
  const { lines, causes } = describeAll(errors);
  const unique = [...new Set(lines)];
  const text = unique.length === 1 ? unique[0] : `[${unique.join(', ')}]`;
  return new StatusError('Invalid', `${qualified} ${JSON.stringify(name)} is invalid: ${text}`, {
    details: { name, ...(type.group === '' ? {} : { group: type.group }), kind: type.kind, causes },
  });
}
