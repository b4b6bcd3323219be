import { certificateSigningRequests, type CertificateSigningRequest } from '@naru/api';
import type { KindHooks } from './kind-hooks';

/** Who asks for a certificate is said by the server: signers and approvers go by it. */
export const certificateRequestHooks: KindHooks = {
  resource: `${certificateSigningRequests.group}/${certificateSigningRequests.resource}`,
  beginCreate(object, { user }) {
    const csr = object as CertificateSigningRequest;
    const { username, uid, groups, extra } = user;
    const { username: _u, uid: _i, groups: _g, extra: _e, ...spec } = csr.spec;
    csr.spec = {
      ...spec,
      username,
      ...(uid ? { uid } : {}),
      ...(groups.length > 0 ? { groups: [...groups] } : {}),
      ...(extra && Object.keys(extra).length > 0 ? { extra } : {}),
    };
    return undefined;
  },
};
