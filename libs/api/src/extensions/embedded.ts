import { pathSegmentProblem } from '../validation/names';
import { required, type FieldError } from '../validation/field-error';
import { validateMetadata } from '../validation/metadata';
import type { KubeObject } from '../types';
import type { Structural } from './structural';

type JsonObject = Record<string, unknown>;

/** Resources inside a resource have a type, and metadata as all have. Source: apiextensions-apiserver schema/objectmeta. */
export function validateEmbedded(
  value: unknown,
  schema: Structural,
  path = '',
  errors: FieldError[] = [],
): FieldError[] {
  if (!schema.hasEmbedded || typeof value !== 'object' || value === null) return errors;
  if (Array.isArray(value)) {
    if (schema.items) value.forEach((item, i) => validateEmbedded(item, schema.items!, `${path}[${i}]`, errors));
    return errors;
  }
  const object = value as JsonObject;
  if (schema.embedded && path !== '') {
    for (const key of ['apiVersion', 'kind'])
      if (!object[key]) errors.push(required(`${path}.${key}`, 'must not be empty'));
    if (typeof object['metadata'] === 'object' && object['metadata'] !== null) {
      const found: FieldError[] = [];
      validateMetadata(object as KubeObject, true, pathSegmentProblem, found);
      // Name and namespace may be left out here.
      for (const error of found)
        if (error.type !== 'FieldValueRequired') errors.push({ ...error, field: `${path}.${error.field}` });
    }
  }
  for (const key in object) {
    const child = schema.properties.get(key) ?? (schema.additional === true ? undefined : schema.additional);
    if (child) validateEmbedded(object[key], child, path === '' ? key : `${path}.${key}`, errors);
  }
  return errors;
}
