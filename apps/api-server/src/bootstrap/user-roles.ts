import type { ClusterRole } from '@naru/api';
import type { PolicyRule } from '../auth/rbac';
import { clusterRole, read, rule, write } from './rules';

const withStatus = (...resources: string[]): string => resources.flatMap(name => [name, `${name}/status`]).join();
const workloads =
  'deployments,deployments/scale,replicasets,replicasets/scale,statefulsets,statefulsets/scale,daemonsets';
const coreWorkloads =
  'pods,replicationcontrollers,replicationcontrollers/scale,services,configmaps,persistentvolumeclaims,serviceaccounts';

const viewRules = [
  rule(read, 'core', `${coreWorkloads},endpoints,pods/log,events,limitranges,namespaces,bindings`),
  rule(read, 'core', 'pods/status,replicationcontrollers/status,services/status,persistentvolumeclaims/status'),
  rule(read, 'core', `${withStatus('resourcequotas')},namespaces/status`),
  rule(read, 'apps', `${workloads},controllerrevisions`),
  rule(read, 'apps', 'deployments/status,replicasets/status,statefulsets/status,daemonsets/status'),
  rule(read, 'batch', withStatus('jobs', 'cronjobs')),
  rule(read, 'autoscaling', withStatus('horizontalpodautoscalers')),
  rule(read, 'policy', withStatus('poddisruptionbudgets')),
  rule(read, 'networking.k8s.io', `${withStatus('ingresses')},networkpolicies`),
  rule(read, 'discovery.k8s.io', 'endpointslices'),
  rule(read, 'resource.k8s.io', `${withStatus('resourceclaims')},resourceclaimtemplates`),
];

// Endpoints and EndpointSlices are read-only here: who writes them sends a Service's traffic into any namespace (CVE-2021-25740).
const editRules = [
  rule(read, 'core', 'secrets,pods/attach,pods/exec,pods/portforward,pods/proxy,services/proxy'),
  rule(
    write,
    'core',
    `${coreWorkloads},secrets,events,pods/attach,pods/exec,pods/portforward,pods/proxy,services/proxy`,
  ),
  rule('create', 'core', 'pods/eviction,serviceaccounts/token'),
  rule('impersonate', 'core', 'serviceaccounts'),
  rule(write, 'apps', `${workloads},deployments/rollback`),
  rule(write, 'batch', 'jobs,cronjobs'),
  rule(write, 'autoscaling', 'horizontalpodautoscalers'),
  rule(write, 'policy', 'poddisruptionbudgets'),
  rule(write, 'networking.k8s.io', 'ingresses,networkpolicies'),
  rule(write, 'resource.k8s.io', 'resourceclaims,resourceclaimtemplates'),
  rule(`${read},${write}`, 'coordination.k8s.io', 'leases'),
];

const adminRules = [
  rule(`${read},${write}`, 'rbac.authorization.k8s.io', 'roles,rolebindings'),
  rule('create', 'authorization.k8s.io', 'localsubjectaccessreviews'),
];

type UserRole = 'view' | 'edit' | 'admin';
const label = (into: UserRole): Record<string, string> => ({
  [`rbac.authorization.k8s.io/aggregate-to-${into}`]: 'true',
});

/** A role that is part of `into`. */
function partOf(into: UserRole, role: ClusterRole): ClusterRole {
  return { ...role, metadata: { ...role.metadata!, labels: { ...role.metadata?.labels, ...label(into) } } };
}

/** A role that is made up of others; `rules` are those that it has before the controller has put it together. */
function aggregated(name: UserRole, rules: PolicyRule[]): ClusterRole {
  return { ...clusterRole(name, ...rules), aggregationRule: { clusterRoleSelectors: [{ matchLabels: label(name) }] } };
}

/** What people get in their namespaces. Each role has its own rules in one of its parts; who adds kinds adds parts. */
export const userRoles: readonly ClusterRole[] = [
  partOf('view', clusterRole('system:aggregate-to-view', ...viewRules)),
  partOf('edit', clusterRole('system:aggregate-to-edit', ...editRules)),
  partOf('admin', clusterRole('system:aggregate-to-admin', ...adminRules)),
  partOf('edit', aggregated('view', viewRules)),
  partOf('admin', aggregated('edit', [...editRules, ...viewRules])),
  aggregated('admin', [...editRules, ...viewRules, ...adminRules]),
];
