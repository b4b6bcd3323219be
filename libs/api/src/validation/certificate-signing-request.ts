import type { CertificateSigningRequest } from '../types';
import { duplicate, forbidden, invalid, notSupported, required, type FieldError } from './field-error';

type Condition = NonNullable<NonNullable<CertificateSigningRequest['status']>['conditions']>[number];

const minExpirationSeconds = 600;
const path = 'status.conditions';
const decisions = ['Approved', 'Denied'];
const lasting = [...decisions, 'Failed'];
const usages = new Set([
  'any',
  'cert sign',
  'client auth',
  'code signing',
  'content commitment',
  'crl sign',
  'data encipherment',
  'decipher only',
  'digital signature',
  'email protection',
  'encipher only',
  'ipsec end system',
  'ipsec tunnel',
  'ipsec user',
  'key agreement',
  'key encipherment',
  'microsoft sgc',
  'netscape sgc',
  'ocsp signing',
  's/mime',
  'server auth',
  'signing',
  'timestamping',
]);

/** Source: pkg/apis/certificates/validation. */
export function validateRequest({ spec }: CertificateSigningRequest, errors: FieldError[]): void {
  if (!spec?.request) errors.push(required('spec.request'));
  else if (!Buffer.from(spec.request, 'base64').toString('latin1').includes('-----BEGIN CERTIFICATE REQUEST-----'))
    errors.push(invalid('spec.request', spec.request, 'PEM block type must be CERTIFICATE REQUEST'));
  if (!spec?.usages?.length) errors.push(required('spec.usages'));
  const seen = new Set<string>();
  for (const [index, usage] of (spec?.usages ?? []).entries()) {
    if (!usages.has(usage)) errors.push(notSupported(`spec.usages[${index}]`, usage, [...usages]));
    if (seen.has(usage)) errors.push(duplicate(`spec.usages[${index}]`, usage));
    seen.add(usage);
  }
  if (!spec?.signerName) errors.push(required('spec.signerName'));
  else if (!/^[^/]+\.[^/]+\/[^/].*$/.test(spec.signerName))
    errors.push(
      invalid(
        'spec.signerName',
        spec.signerName,
        'must be a fully qualified domain and path of the form "example.com/signer-name"',
      ),
    );
  const seconds = spec?.expirationSeconds;
  if (seconds !== undefined && seconds < minExpirationSeconds)
    errors.push(
      invalid('spec.expirationSeconds', seconds, 'may not specify a duration less than 600 seconds (10 minutes)'),
    );
}

/** New conditions get their times; the others keep them. */
export function withTimes(
  next: readonly Condition[] | undefined,
  old: readonly Condition[] | undefined,
  now: string,
): Condition[] {
  return (next ?? []).map(condition => {
    const before = old?.find(({ type, status }) => type === condition.type && status === condition.status);
    return {
      ...condition,
      lastTransitionTime: condition.lastTransitionTime ?? before?.lastTransitionTime ?? now,
      lastUpdateTime: condition.lastUpdateTime ?? before?.lastUpdateTime ?? now,
    };
  });
}

export function validateConditions(next: readonly Condition[] | undefined, errors: FieldError[]): void {
  const seen = new Set<string>();
  for (const [index, { type, status }] of (next ?? []).entries()) {
    const at = `${path}[${index}]`;
    if (!type) errors.push(required(`${at}.type`));
    if (!status) errors.push(required(`${at}.status`));
    else if (!['True', 'False', 'Unknown'].includes(status))
      errors.push(notSupported(`${at}.status`, status, ['False', 'True', 'Unknown']));
    else if (lasting.includes(type) && status !== 'True') errors.push(notSupported(`${at}.status`, status, ['True']));
    if (seen.has(type)) errors.push(duplicate(`${at}.type`, type));
    seen.add(type);
  }
  if (decisions.every(type => seen.has(type)))
    errors.push(invalid(path, next, 'Approved and Denied conditions are mutually exclusive'));
}

/** A decision stands: nobody takes it back, and only an approver makes it. */
export function validateDecisions(
  next: CertificateSigningRequest,
  old: CertificateSigningRequest,
  mayDecide: boolean,
  errors: FieldError[],
): void {
  for (const type of lasting) {
    const has = (o: CertificateSigningRequest): boolean =>
      o.status?.conditions?.some(condition => condition.type === type) ?? false;
    if (has(old) && !has(next)) errors.push(forbidden(path, `updates may not remove a condition of type "${type}"`));
    if (!mayDecide && decisions.includes(type) && !has(old) && has(next))
      errors.push(forbidden(path, `updates may not add a condition of type "${type}"`));
  }
}

/** What the signer gave stays; it is one or more certificates in PEM. */
export function validateCertificate(
  next: CertificateSigningRequest,
  old: CertificateSigningRequest,
  errors: FieldError[],
): void {
  const [after, before] = [next.status?.certificate, old.status?.certificate];
  if (after === before) return;
  if (before) errors.push(invalid('status.certificate', '<redacted>', 'field is immutable once set'));
  if (after && !Buffer.from(after, 'base64').toString('latin1').includes('-----BEGIN CERTIFICATE-----'))
    errors.push(invalid('status.certificate', after, 'must contain at least one CERTIFICATE PEM block'));
}
