import { formatTime } from '@naru/foundation';
import { invalid, invalidObject, pods, type KubeObject, type Pod } from '@naru/api';
import { defaultAudience, type ServiceAccountTokens, type TokenSubject } from '../auth/service-account-tokens';
import { admitBody } from '../objects/admission-request';
import { decodeAny } from '../objects/body';
import type { ObjectDeps } from '../objects/deps';
import { badRequest, conflict, notFound } from '../objects/failures';
import { jsonReply, type ObjectRequest } from '../objects/request';
import { decodeBytes } from '../storage/codec';
import type { Subresource } from './subresource';

export interface TokenRequest {
  metadata?: Record<string, unknown>;
  spec?: {
    audiences?: string[];
    expirationSeconds?: number;
    boundObjectRef?: { kind?: string; apiVersion?: string; name?: string; uid?: string } | null;
  };
}

const minSeconds = 600;
const defaultSeconds = 3600;
/** Upstream's bound, 2^32 seconds. */
const maxSeconds = 2 ** 32;
/** The kubelet's request for the default token: extended for clients that do not read it again. */
const maxGivenSeconds = 365 * 24 * 3600;
const tokenType = {
  group: 'authentication.k8s.io',
  version: 'v1',
  resource: 'tokenrequests',
  kind: 'TokenRequest',
  namespaced: true,
};

/** Issues a token for a service account, bound to a pod, a secret or a node where asked. */
export function serviceAccountToken(tokens: ServiceAccountTokens): Subresource {
  return {
    name: '/serviceaccounts/token',
    async create(deps, request, body) {
      const wanted = (await decodeAny(body)) as TokenRequest | undefined;
      if (typeof wanted !== 'object') throw badRequest('the body of the request is not a TokenRequest');
      const entry = deps.storage.cache(request.definition).get(request.namespace, request.name);
      if (!entry) throw notFound(request.definition.type, request.name);
      const { audiences, expirationSeconds = defaultSeconds, boundObjectRef } = wanted.spec ?? {};
      if (expirationSeconds < minSeconds)
        throw invalidObject(tokenType, '', [
          invalid('spec.expirationSeconds', expirationSeconds, 'may not specify a duration less than 10 minutes'),
        ]);
      if (expirationSeconds > maxSeconds)
        throw invalidObject(tokenType, '', [
          invalid('spec.expirationSeconds', expirationSeconds, 'may not specify a duration larger than 2^32 seconds'),
        ]);
      const kind = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest' };
      await admitBody(deps, request, 'create', { object: { ...wanted, ...kind } as KubeObject });
      const subject: TokenSubject = {
        namespace: request.namespace,
        serviceAccount: { name: entry.name, uid: entry.uid },
        ...boundTo(deps, request, boundObjectRef),
      };
      const seconds = Math.min(expirationSeconds, maxGivenSeconds);
      const now = deps.clock.now();
      const intended = audiences?.length ? audiences : [defaultAudience];
      const token = await tokens.issue(subject, intended, now, seconds);
      return jsonReply(
        {
          kind: 'TokenRequest',
          apiVersion: 'authentication.k8s.io/v1',
          metadata: { name: entry.name, namespace: request.namespace, creationTimestamp: formatTime(now) },
          spec: { ...wanted.spec, audiences: intended, expirationSeconds: seconds },
          status: { token, expirationTimestamp: formatTime(now + seconds * 1000) },
        },
        201,
      );
    },
  };
}

function boundTo(
  deps: ObjectDeps,
  { namespace, name }: ObjectRequest,
  ref: NonNullable<TokenRequest['spec']>['boundObjectRef'],
): Partial<TokenSubject> {
  if (!ref) return {};
  const resource = { Pod: 'pods', Secret: 'secrets', Node: 'nodes' }[ref.kind ?? ''];
  if (!resource || (ref.apiVersion && ref.apiVersion !== 'v1'))
    throw badRequest(`cannot bind token to object of type ${ref.apiVersion}, Kind=${ref.kind}`);
  const definition = deps.scheme.byResource('', 'v1', resource)!;
  const entry = deps.storage.cache(definition).get(resource === 'nodes' ? '' : namespace, ref.name ?? '');
  if (!entry) throw notFound(definition.type, ref.name ?? '');
  if (ref.uid && ref.uid !== entry.uid)
    throw conflict(
      definition.type,
      entry.name,
      `the UID in the bound object reference (${ref.uid}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  const bound = { name: entry.name, uid: entry.uid };
  if (resource !== pods.resource) return resource === 'secrets' ? { secret: bound } : { node: bound };
  const pod = decodeBytes<Pod>(entry.bytes);
  if (pod.spec?.serviceAccountName !== name)
    throw badRequest(
      `cannot bind token for serviceaccount "${name}" to pod running with different serviceaccount name.`,
    );
  const node =
    pod.spec.nodeName && deps.storage.cache(deps.scheme.byResource('', 'v1', 'nodes')!).get('', pod.spec.nodeName);
  return { pod: bound, ...(node ? { node: { name: node.name, uid: node.uid } } : {}) };
}
