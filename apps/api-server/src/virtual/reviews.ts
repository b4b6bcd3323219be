import type { Authenticator } from '../auth/authenticator';
import type { Authorizer, Attributes } from '../auth/authorizer';
import type { PolicyRule, Rbac } from '../auth/rbac';
import {
  decodeValue,
  invalid,
  invalidObject,
  localSubjectAccessReviews,
  required,
  selfSubjectAccessReviews,
  selfSubjectReviews,
  selfSubjectRulesReviews,
  subjectAccessReviews,
  tokenReviews,
  type FieldError,
} from '@naru/api';
import { decodeAny } from '../objects/body';
import { badRequest } from '../objects/failures';
import { jsonReply, type Body, type ObjectReply, type ObjectRequest, type UserInfo } from '../objects/request';
import type { VirtualKind } from '../objects/virtual-kind';

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

const kinds = [
  selfSubjectAccessReviews,
  subjectAccessReviews,
  localSubjectAccessReviews,
  selfSubjectRulesReviews,
  tokenReviews,
  selfSubjectReviews,
];

/** Questions that are posted like objects and answered without being stored. */
export function reviewKinds(deps: ReviewDeps): VirtualKind[] {
  const reviews = new Reviews(deps);
  return kinds.map(({ group, resource }) => ({
    resource: `${group}/${resource}`,
    create: (_deps, request, body) => reviews.answer(request, body),
  }));
}

class Reviews {
  constructor(private readonly deps: ReviewDeps) {}

  async answer({ definition, user, namespace }: ObjectRequest, body: Body): Promise<ObjectReply> {
    const { group, version, kind } = definition.type;
    const type = { group, version, kind };
    const { object } = decodeValue((await decodeAny(body)) ?? {}, { type });
    const { metadata = {}, spec = {} } = object as { metadata?: { namespace?: string }; spec?: ReviewSpec };
    if (kind === localSubjectAccessReviews.kind) {
      if (metadata.namespace && metadata.namespace !== namespace)
        throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
      metadata.namespace = namespace;
    }
    const errors = problems(kind, spec, namespace);
    if (errors.length > 0) throw invalidObject(type, '', errors);
    const status = await this.statusOf(kind, spec, user);
    return jsonReply({ kind, apiVersion: `${group}/${version}`, metadata, spec, status }, 201);
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
