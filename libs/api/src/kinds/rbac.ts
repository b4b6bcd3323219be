import { clusterRoleBindings, clusterRoles, roleBindings, roles } from '../resource';
import { ageColumn, createdAtColumn, nameColumn, text, wide } from '../table/columns';
import type { ClusterRole, ClusterRoleBinding, Role, RoleBinding } from '../types';
import { invalid, notSupported, required, type FieldError } from '../validation/field-error';
import { pathSegmentProblem } from '../validation/names';
import { defineKind } from './define-kind';

const rbacGroup = 'rbac.authorization.k8s.io';

function validateRules(o: Role | ClusterRole, namespaced: boolean, errors: FieldError[]): void {
  for (const [index, rule] of (o.rules ?? []).entries()) {
    const at = `rules[${index}]`;
    if (!rule.verbs?.length) errors.push(required(`${at}.verbs`, 'verbs must contain at least one value'));
    if (rule.nonResourceURLs?.length) {
      if (namespaced)
        errors.push(
          invalid(`${at}.nonResourceURLs`, rule.nonResourceURLs, 'namespaced rules cannot apply to non-resource URLs'),
        );
      if (rule.apiGroups?.length || rule.resources?.length || rule.resourceNames?.length) {
        const detail = 'rules cannot apply to both regular resources and non-resource URLs';
        errors.push(invalid(`${at}.nonResourceURLs`, rule.nonResourceURLs, detail));
      }
      continue;
    }
    if (!rule.apiGroups?.length)
      errors.push(required(`${at}.apiGroups`, 'resource rules must supply at least one api group'));
    if (!rule.resources?.length)
      errors.push(required(`${at}.resources`, 'resource rules must supply at least one resource'));
  }
}

type AnyBinding = RoleBinding | ClusterRoleBinding;

function defaultBinding(o: AnyBinding): void {
  if (o.roleRef && !o.roleRef.apiGroup) o.roleRef.apiGroup = rbacGroup;
  for (const subject of o.subjects ?? [])
    if (!subject.apiGroup && subject.kind !== 'ServiceAccount') subject.apiGroup = rbacGroup;
}

function validateBinding(o: AnyBinding, roleKinds: readonly string[], errors: FieldError[]): void {
  const { roleRef } = o;
  if (roleRef?.apiGroup !== rbacGroup)
    errors.push(notSupported('roleRef.apiGroup', roleRef?.apiGroup ?? '', [rbacGroup]));
  if (!roleKinds.includes(roleRef?.kind ?? ''))
    errors.push(notSupported('roleRef.kind', roleRef?.kind ?? '', roleKinds));
  if (!roleRef?.name) errors.push(required('roleRef.name'));
  for (const [index, subject] of (o.subjects ?? []).entries()) {
    const at = `subjects[${index}]`;
    if (!subject.name) errors.push(required(`${at}.name`));
    if (!['ServiceAccount', 'User', 'Group'].includes(subject.kind))
      errors.push(notSupported(`${at}.kind`, subject.kind, ['ServiceAccount', 'User', 'Group']));
    if (subject.kind === 'ServiceAccount' && !subject.namespace) errors.push(required(`${at}.namespace`));
  }
}

function validateBindingUpdate(next: AnyBinding, old: AnyBinding, errors: FieldError[]): void {
  const [a, b] = [next.roleRef, old.roleRef];
  if (a?.apiGroup !== b?.apiGroup || a?.kind !== b?.kind || a?.name !== b?.name)
    errors.push(invalid('roleRef', next.roleRef, 'cannot change roleRef'));
}

function subjectsOf(o: AnyBinding, kind: string): string {
  return (o.subjects ?? [])
    .filter(s => s.kind === kind)
    .map(s => (s.namespace ? `${s.namespace}/${s.name}` : s.name))
    .sort()
    .join(', ');
}

const bindingColumns = [
  nameColumn,
  text<AnyBinding>('Role', 'The role that is granted.', o => `${o.roleRef?.kind}/${o.roleRef?.name}`),
  ageColumn,
  wide<AnyBinding>('Users', 'Users in the binding.', o => subjectsOf(o, 'User')),
  wide<AnyBinding>('Groups', 'Groups in the binding.', o => subjectsOf(o, 'Group')),
  wide<AnyBinding>('ServiceAccounts', 'Service accounts in the binding.', o => subjectsOf(o, 'ServiceAccount')),
];

export const roleKind = defineKind(roles, {
  nameRule: pathSegmentProblem,
  validate: (o, errors) => validateRules(o, true, errors),
  columns: [nameColumn, createdAtColumn],
});

export const clusterRoleKind = defineKind(clusterRoles, {
  nameRule: pathSegmentProblem,
  validate: (o, errors) => validateRules(o, false, errors),
  columns: [nameColumn, createdAtColumn],
});

export const roleBindingKind = defineKind(roleBindings, {
  nameRule: pathSegmentProblem,
  applyDefaults: defaultBinding,
  validate: (o, errors) => validateBinding(o, ['ClusterRole', 'Role'], errors),
  validateUpdate: validateBindingUpdate,
  columns: bindingColumns,
});

export const clusterRoleBindingKind = defineKind(clusterRoleBindings, {
  nameRule: pathSegmentProblem,
  applyDefaults: defaultBinding,
  validate: (o, errors) => validateBinding(o, ['ClusterRole'], errors),
  validateUpdate: validateBindingUpdate,
  columns: bindingColumns,
});
