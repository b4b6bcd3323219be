import { deepEqual } from '../deep-equal';
import { configMaps } from '../resource';
import { integer } from '../table/columns';
import type { ConfigMap } from '../types';
import { forbidden, invalid, tooLong, type FieldError } from '../validation/field-error';
import { configKeyProblem } from '../validation/names';
import { defineKind } from './define-kind';

const maxBytes = 1024 * 1024;

function validate(o: ConfigMap, errors: FieldError[]): void {
  let size = 0;
  for (const key in o.data) {
    const problem = configKeyProblem(key);
    if (problem) errors.push(invalid(`data[${key}]`, key, problem));
    if (o.binaryData && Object.hasOwn(o.binaryData, key))
      errors.push(invalid(`data[${key}]`, key, 'duplicate of key present in binaryData'));
    size += Buffer.byteLength(o.data[key] ?? '');
  }
  for (const key in o.binaryData) {
    const problem = configKeyProblem(key);
    if (problem) errors.push(invalid(`binaryData[${key}]`, key, problem));
    size += Buffer.byteLength(o.binaryData[key] ?? '', 'base64');
  }
  if (size > maxBytes) errors.push(tooLong('', maxBytes));
}

function validateUpdate(next: ConfigMap, old: ConfigMap, errors: FieldError[]): void {
  if (!old.immutable) return;
  const message = 'field is immutable when `immutable` is set';
  if (!next.immutable) errors.push(forbidden('immutable', message));
  if (!deepEqual(next.data, old.data)) errors.push(forbidden('data', message));
  if (!deepEqual(next.binaryData, old.binaryData)) errors.push(forbidden('binaryData', message));
}

export const configMapKind = defineKind(configMaps, {
  shortNames: ['cm'],
  validate,
  validateUpdate,
  columns: [
    integer(
      'Data',
      'The number of keys.',
      o => Object.keys(o.data ?? {}).length + Object.keys(o.binaryData ?? {}).length,
    ),
  ],
});
