import type { FlowSchema } from '@naru/api';
import type { UserInfo } from '../objects/request';
import { decodeBytes } from '../storage/codec';
import type { WatchCache } from '../storage/watch-cache';

/** What a request is classified by; without `resource` it is to another URL. */
export interface RequestDigest {
  user: UserInfo;
  verb: string;
  path: string;
  resource?: { group: string; resource: string; subresource: string; namespace: string } | undefined;
}

type Rules = NonNullable<NonNullable<FlowSchema['spec']>['rules']>[number];
type Subject = Rules['subjects'][number];

/** A flow schema, ready to be asked. */
export interface CompiledSchema {
  name: string;
  uid: string;
  level: string;
  distinguisher: string | undefined;
  rules: readonly Rules[];
}

/** The flow schemas in the order in which they are asked. */
export function compileSchemas(cache: WatchCache): CompiledSchema[] {
  return cache
    .select({ namespace: '' })
    .map(({ bytes, name, uid }) => ({ name, uid, spec: decodeBytes<FlowSchema>(bytes).spec }))
    .sort((a, b) => precedence(a.spec) - precedence(b.spec) || a.name.localeCompare(b.name))
    .map(({ name, uid, spec }) => ({
      name,
      uid,
      level: spec?.priorityLevelConfiguration.name ?? '',
      distinguisher: spec?.distinguisherMethod?.type,
      rules: spec?.rules ?? [],
    }));
}

function precedence(spec: FlowSchema['spec']): number {
  return spec?.matchingPrecedence ?? 1000;
}

export function schemaMatches({ rules }: CompiledSchema, digest: RequestDigest): boolean {
  return rules.some(rule => rule.subjects.some(subject => isSubject(subject, digest.user)) && isAsked(rule, digest));
}

function isSubject({ kind, user, group, serviceAccount }: Subject, { username, groups }: UserInfo): boolean {
  switch (kind) {
    case 'User':
      return user?.name === '*' || user?.name === username;
    case 'Group':
      return group?.name === '*' || groups.includes(group?.name ?? '');
    case 'ServiceAccount': {
      const prefix = `system:serviceaccount:${serviceAccount?.namespace}:`;
      if (serviceAccount?.name === '*') return username.startsWith(prefix);
      return username === prefix + serviceAccount?.name;
    }
    default:
      return false;
  }
}

function isAsked(
  { resourceRules = [], nonResourceRules = [] }: Rules,
  { verb, path, resource }: RequestDigest,
): boolean {
  if (!resource)
    return nonResourceRules.some(
      ({ verbs, nonResourceURLs }) =>
        has(verbs, verb) &&
        nonResourceURLs.some(
          url => url === '*' || url === path || (url.endsWith('*') && path.startsWith(url.slice(0, -1))),
        ),
    );
  const { group, subresource, namespace } = resource;
  const full = subresource === '' ? resource.resource : `${resource.resource}/${subresource}`;
  return resourceRules.some(
    ({ verbs, apiGroups, resources, clusterScope, namespaces }) =>
      has(verbs, verb) &&
      has(apiGroups, group) &&
      has(resources, full) &&
      (namespace === '' ? clusterScope === true : has(namespaces ?? [], namespace)),
  );
}

function has(list: readonly string[], value: string): boolean {
  return list.includes('*') || list.includes(value);
}
