import type { ServiceAccountTokens } from '../auth/service-account-tokens';
import { podBinding } from './binding';
import { csrApproval } from './csr-approval';
import { ephemeralContainers } from './ephemeral-containers';
import { podEviction } from './eviction';
import { namespaceFinalize } from './namespace-finalize';
import { scale } from './scale';
import { serviceAccountToken } from './service-account-token';
import { status } from './status';
import type { Subresource } from './subresource';

/** Every subresource with code of its own. Logs, exec and proxies are connections: see kubelet/. */
export function subresources(tokens: ServiceAccountTokens): Subresource[] {
  return [
    status,
    scale,
    podBinding,
    podEviction,
    ephemeralContainers,
    namespaceFinalize,
    csrApproval,
    serviceAccountToken(tokens),
  ];
}
