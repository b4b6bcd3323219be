import type { ClusterRole, ClusterRoleBinding } from '@naru/api';
import type { PolicyRule } from '../auth/rbac';

export const read = 'get,list,watch';
export const write = 'create,delete,deletecollection,patch,update';

/** `rule('get,list', 'apps', 'deployments,replicasets')`; "core" is the core group. */
export function rule(verbs: string, groups: string, resources: string): PolicyRule {
  return {
    verbs: verbs.split(','),
    apiGroups: groups.split(',').map(group => (group === 'core' ? '' : group)),
    resources: resources.split(','),
  };
}

export function urls(...nonResourceURLs: string[]): PolicyRule {
  return { verbs: ['get'], nonResourceURLs };
}

const metadata = (name: string): NonNullable<ClusterRole['metadata']> => ({
  name,
  annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'true' },
  labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults' },
});

export function clusterRole(name: string, ...rules: PolicyRule[]): ClusterRole {
  return { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata: metadata(name), rules };
}

export function binding(name: string, kind: 'User' | 'Group', ...subjects: string[]): ClusterRoleBinding {
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: metadata(name),
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
    subjects: subjects.map(subject => ({ kind, name: subject, apiGroup: 'rbac.authorization.k8s.io' })),
  };
}
