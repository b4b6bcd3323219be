import { deepEqual } from '../deep-equal';
import { secrets } from '../resource';
import { integer, text } from '../table/columns';
import type { Secret } from '../types';
import { forbidden, invalid, required, tooLong, type FieldError } from '../validation/field-error';
import { configKeyProblem } from '../validation/names';
import { defineKind } from './define-kind';

const maxBytes = 1024 * 1024;

/** The keys that upstream demands of the types it knows. */
const requiredKeys = new Map<string, readonly string[]>(
  Object.entries({
    'kubernetes.io/dockercfg': ['.dockercfg'],
    'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
    'kubernetes.io/ssh-auth': ['ssh-privatekey'],
    'kubernetes.io/tls': ['tls.crt', 'tls.key'],
  }),
);
const serviceAccountToken = 'kubernetes.io/service-account-token';
const serviceAccountName = 'kubernetes.io/service-account.name';

/** stringData is write-only: it becomes data. */
function mergeStringData(o: Secret): void {
  if (!o.stringData) return;
  const added = Object.entries(o.stringData).map(([key, value]) => [key, Buffer.from(value).toString('base64')]);
  o.data = { ...o.data, ...(Object.fromEntries(added) as Record<string, string>) };
  delete o.stringData;
}

function validate(o: Secret, errors: FieldError[]): void {
  let size = 0;
  for (const key in o.data) {
    const problem = configKeyProblem(key);
    if (problem) errors.push(invalid(`data[${key}]`, key, problem));
    size += Buffer.byteLength(o.data[key] ?? '', 'base64');
  }
  if (size > maxBytes) errors.push(tooLong('data', maxBytes));
  for (const key of requiredKeys.get(o.type ?? '') ?? []) {
    const value = o.data?.[key];
    if (value === undefined) errors.push(required(`data[${key}]`));
    else if (key.startsWith('.docker') && !isJson(value))
      errors.push(invalid(`data[${key}]`, '<secret contents redacted>', 'invalid character in JSON'));
  }
  if (o.type === serviceAccountToken && !o.metadata?.annotations?.[serviceAccountName])
    errors.push(required(`metadata.annotations[${serviceAccountName}]`));
  if (o.type === 'kubernetes.io/basic-auth' && !o.data?.['username'] && !o.data?.['password'])
    errors.push(required('data[username]'), required('data[password]'));
}

function isJson(base64: string): boolean {
  try {
    JSON.parse(Buffer.from(base64, 'base64').toString());
    return true;
  } catch {
    return false;
  }
}

function validateUpdate(next: Secret, old: Secret, errors: FieldError[]): void {
  if (next.type !== old.type) errors.push(invalid('type', next.type, 'field is immutable'));
  if (!old.immutable) return;
  const message = 'field is immutable when `immutable` is set';
  if (!next.immutable) errors.push(forbidden('immutable', message));
  if (!deepEqual(next.data, old.data)) errors.push(forbidden('data', message));
}

export const secretKind = defineKind(secrets, {
  applyDefaults: o => {
    o.type ||= 'Opaque';
    mergeStringData(o);
  },
  validate,
  validateUpdate,
  selectable: { type: o => o.type },
  columns: [
    text('Type', 'What the secret is for.', o => o.type ?? ''),
    integer('Data', 'The number of keys.', o => Object.keys(o.data ?? {}).length),
  ],
});
