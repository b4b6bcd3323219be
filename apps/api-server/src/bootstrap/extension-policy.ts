import type { Role, RoleBinding } from '@naru/api';

const rbac = 'rbac.authorization.k8s.io';
const metadata = {
  namespace: 'kube-system',
  annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'true' },
  labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults' },
};

/** Who has it may read whom an extension server is to trust. */
export const authenticationReader: Role = {
  apiVersion: `${rbac}/v1`,
  kind: 'Role',
  metadata: { ...metadata, name: 'extension-apiserver-authentication-reader' },
  rules: [
    {
      apiGroups: [''],
      resources: ['configmaps'],
      resourceNames: ['extension-apiserver-authentication'],
      verbs: ['get', 'list', 'watch'],
    },
  ],
};

export const authenticationReaders: RoleBinding = {
  apiVersion: `${rbac}/v1`,
  kind: 'RoleBinding',
  metadata: { ...metadata, name: 'system::extension-apiserver-authentication-reader' },
  roleRef: { apiGroup: rbac, kind: 'Role', name: 'extension-apiserver-authentication-reader' },
  subjects: ['system:kube-controller-manager', 'system:kube-scheduler', 'system:metrics-server'].map(name => ({
    apiGroup: rbac,
    kind: 'User',
    name,
  })),
};
