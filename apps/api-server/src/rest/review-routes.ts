import type { Authenticator } from '../auth/authenticator';
import type { Authorizer, Attributes } from '../auth/authorizer';
import type { PolicyRule, Rbac } from '../auth/rbac';
import { decodeValue, invalid, invalidObject, required, type FieldError } from '@naru/api';
import { decodeAny } from '../objects/body';
import { badRequest } from '../objects/failures';
import type { UserInfo } from '../objects/request';
import type { HttpRequest, HttpResponse } from './http';
import { readBody } from './read-body';
import type { ResourcePath } from './request-info';
import { sendJson } from './respond';

interface ReviewSpec {
  token?: string;
  audiences?: string[];
  user?: string;
  uid?: string;
  groups?: string[];
  extra?: Record<string, string[]>;
  namespace?: string;
  resourceAttributes?: {
    namespace?: string;
    verb?: string;
    group?: string;
    version?: string;
    resource?: string;
    subresource?: string;
    name?: string;
  };
  nonResourceAttributes?: { path?: string; verb?: string };
}

export interface ReviewDeps {
  authenticator: Authenticator;
  authorizer: Authorizer;
  rbac: Rbac;
}

interface ReviewCall {
  request: HttpRequest;
  response: HttpResponse;
  user: UserInfo;
  path: ResourcePath;
}

const reviews: Record<string, string> = {
  'authorization.k8s.io/selfsubjectaccessreviews': 'SelfSubjectAccessReview',
  'authorization.k8s.io/subjectaccessreviews': 'SubjectAccessReview',
  'authorization.k8s.io/localsubjectaccessreviews': 'LocalSubjectAccessReview',
  'authorization.k8s.io/selfsubjectrulesreviews': 'SelfSubjectRulesReview',
  'authentication.k8s.io/tokenreviews': 'TokenReview',
  'authentication.k8s.io/selfsubjectreviews': 'SelfSubjectReview',
};

/** Questions that are posted like objects and answered without being stored. */
export class ReviewRoutes {
  constructor(private readonly deps: ReviewDeps) {}

  handle(call: ReviewCall): Promise<void> | undefined {
    const { path, request } = call;
    const kind = reviews[`${path.group}/${path.resource}`];
    if (!kind || request.method !== 'POST' || path.name !== '' || path.version !== 'v1') return undefined;
    return this.answer(call, kind);
  }

  private async answer({ request, response, user, path }: ReviewCall, kind: string): Promise<void> {
    const { group, version, resource, namespace } = path;
    this.deps.authorizer.require({
      user,
      verb: 'create',
      group,
      version,
      resource,
      subresource: '',
      namespace,
      name: '',
    });
    const type = { group, version, kind };
    const { object } = decodeValue((await decodeAny(await readBody(request))) ?? {}, { type });
    const { metadata = {}, spec = {} } = object as { metadata?: { namespace?: string }; spec?: ReviewSpec };
    if (kind === 'LocalSubjectAccessReview') {
      if (metadata.namespace && metadata.namespace !== namespace)
        throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
      metadata.namespace = namespace;
    }
    const errors = problems(kind, spec, namespace);
    if (errors.length > 0) throw invalidObject(type, '', errors);
    const status = await this.statusOf(kind, spec, user);
    const answer = { kind, apiVersion: `${group}/${version}`, metadata, spec, status };
    await sendJson(request, response, 201, Buffer.from(JSON.stringify(answer)));
  }

  private async statusOf(kind: string, spec: ReviewSpec, user: UserInfo): Promise<unknown> {
    switch (kind) {
      case 'SelfSubjectReview':
        return { userInfo: userInfo(user) };
      case 'TokenReview':
        return this.token(spec);
      case 'SelfSubjectRulesReview':
        return this.rules(user, spec.namespace ?? '');
      case 'SelfSubjectAccessReview':
        return this.access(spec, user);
      default:
        return this.access(spec, {
          username: spec.user ?? '',
          uid: spec.uid,
          groups: spec.groups ?? [],
          extra: spec.extra,
        });
    }
  }

  private access(spec: ReviewSpec, user: UserInfo): unknown {
    const { resourceAttributes: resource, nonResourceAttributes: other } = spec;
    const attributes: Attributes = {
      user,
      verb: resource?.verb ?? other?.verb ?? '',
      group: resource?.group ?? '',
      version: resource?.version ?? '',
      resource: resource?.resource ?? '',
      subresource: resource?.subresource ?? '',
      namespace: resource?.namespace ?? '',
      name: resource?.name ?? '',
      ...(other ? { path: other.path ?? '' } : {}),
    };
    const { allowed, reason } = this.deps.authorizer.decide(attributes);
    return { allowed, ...(reason === '' ? {} : { reason }) };
  }

  private async token({ token, audiences }: ReviewSpec): Promise<unknown> {
    if (!token) throw badRequest('token is required for TokenReview in authentication');
    const user = await this.deps.authenticator.byToken(token, audiences?.length ? audiences : undefined);
    if (!user) return { authenticated: false, error: 'invalid bearer token', user: {} };
    return { authenticated: true, user: userInfo(user), ...(audiences?.length ? { audiences } : {}) };
  }

  private rules(user: UserInfo, namespace: string): unknown {
    const { everywhere, byNamespace } = this.deps.rbac.rulesOf(user);
    const rules: PolicyRule[] = [...everywhere, ...(byNamespace.get(namespace) ?? [])];
    if (user.groups.includes('system:masters'))
      rules.push({ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }, { verbs: ['*'], nonResourceURLs: ['*'] });
    return {
      resourceRules: rules.filter(rule => rule.resources?.length),
      nonResourceRules: rules.filter(rule => rule.nonResourceURLs?.length),
      incomplete: false,
    };
  }
}

const accessReviews = new Set(['SelfSubjectAccessReview', 'SubjectAccessReview', 'LocalSubjectAccessReview']);

/** What is wrong with a question. Source: pkg/apis/authorization/validation. */
function problems(kind: string, spec: ReviewSpec, namespace: string): FieldError[] {
  const { resourceAttributes: resource, nonResourceAttributes: other, user, groups } = spec;
  const errors: FieldError[] = [];
  if (kind === 'SelfSubjectRulesReview' && !spec.namespace) errors.push(required('spec.namespace'));
  if (!accessReviews.has(kind)) return errors;
  if (resource && other)
    errors.push(
      invalid('spec.nonResourceAttributes', other, 'cannot be specified in combination with resourceAttributes'),
    );
  if (!resource && !other)
    errors.push(
      invalid(
        'spec.resourceAttributes',
        null,
        'exactly one of nonResourceAttributes or resourceAttributes must be specified',
      ),
    );
  if (kind === 'SelfSubjectAccessReview') return errors;
  if (!user && !groups?.length)
    errors.push(invalid('spec.user', user ?? '', 'at least one of user or group must be specified'));
  if (kind === 'SubjectAccessReview') return errors;
  if (other) errors.push(invalid('spec.nonResourceAttributes', other, 'disallowed on this kind of request'));
  if (resource && resource.namespace !== namespace)
    errors.push(
      invalid('spec.resourceAttributes.namespace', resource.namespace ?? '', 'must match metadata.namespace'),
    );
  return errors;
}

function userInfo({ username, uid, groups, extra }: UserInfo): unknown {
  return { username, ...(uid ? { uid } : {}), groups, ...(extra ? { extra } : {}) };
}
