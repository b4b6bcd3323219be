import type { ServiceAccountTokens } from '../auth/service-account-tokens';
import { podBinding } from './binding';
import { podEviction } from './eviction';
import { scale } from './scale';
import { serviceAccountToken } from './service-account-token';
import type { Subresource } from './subresource';

/** Every subresource with code of its own. What changes a part of the object is said by its kind; logs, exec and proxies are connections: see kubelet/. */
export function subresources(tokens: ServiceAccountTokens): Subresource[] {
  return [scale, podBinding, podEviction, serviceAccountToken(tokens)];
}
