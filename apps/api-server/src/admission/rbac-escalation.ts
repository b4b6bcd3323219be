import {
  clusterRoleBindings,
  clusterRoles,
  deepEqual,
  roleBindings,
  roles,
  type ClusterRole,
  type RoleBinding,
} from '@naru/api';
import type { Authorizer } from '../auth/authorizer';
import type { PolicyRule, Rbac } from '../auth/rbac';
import { describeRules, missingRules, quoted } from '../auth/rule-cover';
import { forbidden, notFound } from '../objects/failures';
import type { AdmissionPlugin, AdmissionRequest } from './plugin';

export interface EscalationDeps {
  authorizer: Authorizer;
  rbac: Rbac;
}

const guarded = new Set([roles, clusterRoles, roleBindings, clusterRoleBindings].map(({ resource }) => resource));
const everything: PolicyRule[] = [
  { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
  { verbs: ['*'], nonResourceURLs: ['*'] },
];

/** Nobody grants what they do not have, unless they may `escalate` roles or `bind` the role. */
export function rbacEscalation(deps: EscalationDeps): AdmissionPlugin {
  return {
    name: 'RBACEscalation',
    handles: ({ definition: { type }, operation, user }) =>
      type.group === roles.group &&
      guarded.has(type.resource) &&
      (operation === 'create' || operation === 'update') &&
      !user.groups.includes('system:masters'),
    validate: request => {
      if (request.old && sameButMetadata(request.object!, request.old)) return;
      const { resource } = request.definition.type;
      if (resource === roles.resource || resource === clusterRoles.resource) checkRole(request, deps);
      else checkBinding(request, deps);
    },
  };
}

/** Owner references and finalizers change without anybody's rights changing. */
function sameButMetadata(next: object, old: object): boolean {
  return deepEqual({ ...next, metadata: undefined }, { ...old, metadata: undefined });
}

function checkRole(request: AdmissionRequest, deps: EscalationDeps): void {
  const { definition, namespace, name, user, object, old } = request;
  const { group, version, resource } = definition.type;
  const attributes = { user, group, version, resource, subresource: '', namespace, name };
  if (deps.authorizer.decide({ ...attributes, verb: 'escalate' }).allowed) return;
  const { rules = [], aggregationRule } = object as ClusterRole;
  if (
    aggregationRule?.clusterRoleSelectors?.length &&
    !deepEqual(aggregationRule, (old as ClusterRole)?.aggregationRule)
  )
    if (missingRules(held(request, deps), everything).length > 0)
      throw forbidden(definition.type, name, 'must have cluster-admin privileges to use the aggregationRule');
  requireHeld(request, deps, rules);
}

function checkBinding(request: AdmissionRequest, deps: EscalationDeps): void {
  const { definition, namespace, user, object } = request;
  const { group, version } = definition.type;
  const { roleRef } = object as RoleBinding;
  const role = roleRef.kind === clusterRoles.kind ? clusterRoles : roles;
  const attributes = { user, group, version, resource: role.resource, subresource: '', namespace, name: roleRef.name };
  if (deps.authorizer.decide({ ...attributes, verb: 'bind' }).allowed) return;
  const rules = deps.rbac.rulesOfRole(role.kind, namespace, roleRef.name);
  if (!rules) throw notFound(role, roleRef.name);
  requireHeld(request, deps, rules);
}

function held({ user, namespace }: AdmissionRequest, { rbac }: EscalationDeps): PolicyRule[] {
  const { everywhere, byNamespace } = rbac.rulesOf(user);
  return [...everywhere, ...(byNamespace.get(namespace) ?? [])];
}

function requireHeld(request: AdmissionRequest, deps: EscalationDeps, rules: readonly PolicyRule[]): void {
  const missing = missingRules(held(request, deps), rules);
  if (missing.length === 0) return;
  const { definition, name, user } = request;
  throw forbidden(
    definition.type,
    name,
    `user ${JSON.stringify(user.username)} (groups=${quoted(user.groups)}) is attempting to grant RBAC permissions not currently held:\n${describeRules(missing)}`,
  );
}
