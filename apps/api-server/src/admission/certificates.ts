import { certificateSigningRequests, deepEqual, type CertificateSigningRequest } from '@naru/api';
import { readRequest } from '@naru/pki';
import type { Authorizer } from '../auth/authorizer';
import { isResource } from './is-resource';
import type { AdmissionPlugin, AdmissionRequest } from './plugin';
import { refuse } from './refuse';

const clientSigner = 'kubernetes.io/kube-apiserver-client';
const masters = 'system:masters';

/** Who asks for a certificate is who is logged in, whatever the request says. */
export const certificateRequester: AdmissionPlugin = {
  name: 'CertificateRequester',
  handles: request => request.operation === 'create' && isResource(request, certificateSigningRequests),
  admit({ object, user }) {
    const csr = object as CertificateSigningRequest;
    if (!csr.spec) return;
    const { username, uid, groups, extra } = user;
    const spec: Record<string, unknown> = { ...csr.spec, username, groups: [...groups] };
    for (const [name, value] of Object.entries({ uid, extra })) {
      if (value) spec[name] = value;
      else delete spec[name];
    }
    csr.spec = spec as never;
  },
};

/** A certificate of the cluster's own authority does not make anybody an administrator for good. */
export const certificateSubjectRestriction: AdmissionPlugin = {
  name: 'CertificateSubjectRestriction',
  handles: certificateRequester.handles,
  async validate(request) {
    const { spec } = request.object as CertificateSigningRequest;
    if (spec.signerName !== clientSigner) return;
    const { subject } = await readRequest(Buffer.from(spec.request, 'base64').toString());
    if (subject.organizations?.includes(masters))
      throw refuse(request, `use of ${clientSigner} signer with ${masters} group is not allowed`);
  },
};

/** Approving takes leave for the signer that the certificate is asked of. */
export function certificateApproval({ authorizer }: { authorizer: Authorizer }): AdmissionPlugin {
  return {
    name: 'CertificateApproval',
    handles: request => request.operation === 'update' && isResource(request, certificateSigningRequests, 'approval'),
    validate: request => requireSigner(request, 'approve', authorizer),
  };
}

/** And so does signing, and judging a request failed. */
export function certificateSigning({ authorizer }: { authorizer: Authorizer }): AdmissionPlugin {
  return {
    name: 'CertificateSigning',
    handles: request => request.operation === 'update' && isResource(request, certificateSigningRequests, 'status'),
    validate(request) {
      const next = (request.object as CertificateSigningRequest).status;
      const old = (request.old as CertificateSigningRequest).status;
      const same = next?.certificate === old?.certificate && deepEqual(next?.conditions ?? [], old?.conditions ?? []);
      if (!same) requireSigner(request, 'sign', authorizer);
    },
  };
}

function requireSigner(request: AdmissionRequest, verb: 'approve' | 'sign', authorizer: Authorizer): void {
  const { signerName } = (request.old as CertificateSigningRequest).spec;
  const [domain = ''] = signerName.split('/', 1);
  const may = (name: string): boolean =>
    authorizer.decide({
      user: request.user,
      verb,
      group: certificateSigningRequests.group,
      version: '*',
      resource: 'signers',
      subresource: '',
      namespace: '',
      name,
    }).allowed;
  if (!may(signerName) && !may(`${domain}/*`))
    throw refuse(request, `user not permitted to ${verb} requests with signerName ${JSON.stringify(signerName)}`);
}
