import { deepEqual } from '../deep-equal';
import { certificateSigningRequests } from '../resource';
import { ageColumn, nameColumn, text } from '../table/columns';
import { humanDuration } from '../table/duration';
import type { CertificateSigningRequest } from '../types';
import {
  validateCertificate,
  validateConditions,
  validateDecisions,
  validateRequest,
  withTimes,
} from '../validation/certificate-signing-request';
import { forbidden } from '../validation/field-error';
import { defineKind } from './define-kind';

function statusOf(o: CertificateSigningRequest): string {
  const has = (type: string): boolean => o.status?.conditions?.some(c => c.type === type) ?? false;
  let status = has('Denied') ? 'Denied' : has('Approved') ? 'Approved' : 'Pending';
  if (has('Failed')) status += ',Failed';
  if (o.status?.certificate) status += ',Issued';
  return status;
}

export const certificateSigningRequestKind = defineKind(certificateSigningRequests, {
  shortNames: ['csr'],
  subresources: { status: true },
  applyDefaults: o => {
    if (o.spec && !o.spec.usages?.length) o.spec.usages = ['digital signature', 'key encipherment'];
  },
  validate: validateRequest,
  validateUpdate: (next, old, errors) => {
    if (!deepEqual(next.spec, old.spec)) errors.push(forbidden('spec', 'field is immutable'));
  },
  validateStatusUpdate: (next, old, errors) => {
    validateConditions(next.status?.conditions, errors);
    validateDecisions(next, old, false, errors);
    validateCertificate(next, old, errors);
  },
  parts: {
    // Approving or denying changes the conditions and nothing else.
    approval: {
      takesMetadata: true,
      take: ({ status }, old, now) => ({
        status: { ...old.status, conditions: withTimes(status?.conditions, old.status?.conditions, now) },
      }),
      validate: (next, old, errors) => {
        validateConditions(next.status?.conditions, errors);
        validateDecisions(next, old, true, errors);
      },
    },
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
