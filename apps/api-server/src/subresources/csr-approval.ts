import { admitBody } from '../objects/admission-request';
import { decodeAny } from '../objects/body';
import { badRequest } from '../objects/failures';
import { modifyObject } from '../objects/modify';
import type { CertificateSigningRequest } from '@naru/api';
import type { Subresource } from './subresource';

/** Approving or denying a request for a certificate changes its conditions and nothing else. */
export const csrApproval: Subresource = {
  name: 'certificates.k8s.io/certificatesigningrequests/approval',
  async update(deps, request, body) {
    const wanted = (await decodeAny(body)) as CertificateSigningRequest | undefined;
    if (typeof wanted !== 'object') throw badRequest('the body of the request is not a CertificateSigningRequest');
    return modifyObject(deps, request, {
      mode: 'raw',
      tracking: 'update',
      transform: async current => {
        const csr = structuredClone(current) as CertificateSigningRequest;
        csr.status = { ...csr.status, conditions: wanted.status?.conditions ?? [] };
        if (wanted.metadata?.resourceVersion) csr.metadata!.resourceVersion = wanted.metadata.resourceVersion;
        return admitBody(deps, request, 'update', { object: csr, old: current });
      },
    });
  },
};
