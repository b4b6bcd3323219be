import { certificateSigningRequests } from '../resource';
import { ageColumn, nameColumn, text } from '../table/columns';
import { humanDuration } from '../table/duration';
import type { CertificateSigningRequest } from '../types';
import { forbidden, invalid, required } from '../validation/field-error';
import { deepEqual } from '../deep-equal';
import { defineKind } from './define-kind';

function statusOf(o: CertificateSigningRequest): string {
  const has = (type: string): boolean => o.status?.conditions?.some(c => c.type === type) ?? false;
  let status = has('Denied') ? 'Denied' : has('Approved') ? 'Approved' : 'Pending';
  if (has('Failed')) status += ',Failed';
  if (o.status?.certificate) status += ',Issued';
  return status;
}

const minExpirationSeconds = 600;

export const certificateSigningRequestKind = defineKind(certificateSigningRequests, {
  shortNames: ['csr'],
  subresources: { status: true, special: ['approval'] },
  applyDefaults: o => {
    if (o.spec && !o.spec.usages?.length) o.spec.usages = ['digital signature', 'key encipherment'];
  },
  validate: (o, errors) => {
    if (!o.spec?.request) errors.push(required('spec.request'));
    if (!o.spec?.signerName) errors.push(required('spec.signerName'));
    else if (!/^[^/]+\.[^/]+\/[^/].*$/.test(o.spec.signerName))
      errors.push(
        invalid(
          'spec.signerName',
          o.spec.signerName,
          'must be a fully qualified domain and path of the form "example.com/signer-name"',
        ),
      );
    const seconds = o.spec?.expirationSeconds;
    if (seconds !== undefined && seconds < minExpirationSeconds)
      errors.push(
        invalid('spec.expirationSeconds', seconds, 'may not specify a duration less than 600 seconds (10 minutes)'),
      );
  },
  validateUpdate: (next, old, errors) => {
    if (!deepEqual(next.spec, old.spec)) errors.push(forbidden('spec', 'field is immutable'));
  },
  selectable: { 'spec.signerName': o => o.spec?.signerName },
  columns: [
    nameColumn,
    ageColumn,
    text('SignerName', 'The requested signer.', o => o.spec?.signerName ?? '<none>'),
    text('Requestor', 'Who asked.', o => o.spec?.username ?? ''),
    text('RequestedDuration', 'How long the certificate is asked for.', o =>
      o.spec?.expirationSeconds === undefined ? '<none>' : humanDuration(o.spec.expirationSeconds * 1000),
    ),
    text('Condition', 'Approved, denied, issued or pending.', statusOf),
  ],
});
