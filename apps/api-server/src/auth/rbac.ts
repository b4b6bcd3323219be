import type { ClusterRole, ClusterRoleBinding, RoleBinding } from '@naru/api';
import type { UserInfo } from '../objects/request';
import { decodeBytes } from '../storage/codec';
import type { WatchCache } from '../storage/watch-cache';
import type { Attributes, AuthorizationRule } from './authorizer';

export type PolicyRule = NonNullable<ClusterRole['rules']>[number];
type Subject = NonNullable<ClusterRoleBinding['subjects']>[number];

/** What one user may do, gathered from all bindings. */
export interface UserRules {
  everywhere: PolicyRule[];
  byNamespace: Map<string, PolicyRule[]>;
}

export interface RbacCaches {
  roles: WatchCache;
  clusterRoles: WatchCache;
  roleBindings: WatchCache;
  clusterRoleBindings: WatchCache;
}

/** Users whose gathered rules are kept. */
const maxUsers = 2000;

/** Role based access control over the stored roles and bindings. */
export class Rbac implements AuthorizationRule {
  readonly name = 'RBAC';
  private readonly users = new Map<string, UserRules>();
  private generation = -1;

  constructor(private readonly caches: RbacCaches) {}

  allows(attributes: Attributes): boolean | undefined {
    const { everywhere, byNamespace } = this.rulesOf(attributes.user);
    if (everywhere.some(rule => ruleAllows(rule, attributes))) return true;
    if (attributes.namespace === '') return undefined;
    return byNamespace.get(attributes.namespace)?.some(rule => ruleAllows(rule, attributes)) ? true : undefined;
  }

  rulesOf(user: UserInfo): UserRules {
    const { roles, clusterRoles, roleBindings, clusterRoleBindings } = this.caches;
    const generation =
      roles.generation + clusterRoles.generation + roleBindings.generation + clusterRoleBindings.generation;
    if (generation !== this.generation || this.users.size > maxUsers) {
      this.users.clear();
      this.generation = generation;
    }
    const key = `${user.username}\n${user.groups.join('\n')}`;
    let rules = this.users.get(key);
    if (!rules) this.users.set(key, (rules = this.gather(user)));
    return rules;
  }

  /** What a role allows; undefined when there is no such role. */
  rulesOfRole(kind: string, namespace: string, name: string): PolicyRule[] | undefined {
    const { roles, clusterRoles } = this.caches;
    const entry = kind === 'ClusterRole' ? clusterRoles.get('', name) : roles.get(namespace, name);
    return entry && (decodeBytes<ClusterRole>(entry.bytes).rules ?? []);
  }

  private gather(user: UserInfo): UserRules {
    const everywhere: PolicyRule[] = [];
    const byNamespace = new Map<string, PolicyRule[]>();
    for (const { bytes } of this.caches.clusterRoleBindings.select({ namespace: '' })) {
      const { subjects = [], roleRef } = decodeBytes<ClusterRoleBinding>(bytes);
      if (subjects.some(subject => isUser(subject, user, '')))
        everywhere.push(...(this.rulesOfRole('ClusterRole', '', roleRef.name) ?? []));
    }
    for (const { bytes, namespace } of this.caches.roleBindings.select({ namespace: '' })) {
      const { subjects = [], roleRef } = decodeBytes<RoleBinding>(bytes);
      if (!subjects.some(subject => isUser(subject, user, namespace))) continue;
      const rules = this.rulesOfRole(roleRef.kind, namespace, roleRef.name) ?? [];
      byNamespace.set(namespace, [...(byNamespace.get(namespace) ?? []), ...rules]);
    }
    return { everywhere, byNamespace };
  }
}

function isUser(subject: Subject, user: UserInfo, namespace: string): boolean {
  switch (subject.kind) {
    case 'User':
      return subject.name === user.username;
    case 'Group':
      return user.groups.includes(subject.name);
    case 'ServiceAccount':
      return user.username === `system:serviceaccount:${subject.namespace || namespace}:${subject.name}`;
    default:
      return false;
  }
}

export function ruleAllows(rule: PolicyRule, attributes: Attributes): boolean {
  if (!has(rule.verbs, attributes.verb)) return false;
  if (attributes.path !== undefined) {
    const { path } = attributes;
    return (rule.nonResourceURLs ?? []).some(
      url => url === '*' || url === path || (url.endsWith('*') && path.startsWith(url.slice(0, -1))),
    );
  }
  if (!has(rule.apiGroups, attributes.group)) return false;
  const { resource, subresource, name } = attributes;
  const full = subresource === '' ? resource : `${resource}/${subresource}`;
  const resources = rule.resources ?? [];
  if (!has(resources, full) && !(subresource !== '' && resources.includes(`*/${subresource}`))) return false;
  const names = rule.resourceNames ?? [];
  return names.length === 0 || names.includes(name);
}

function has(list: readonly string[] | undefined, value: string): boolean {
  return list !== undefined && (list.includes(value) || list.includes('*'));
}
