import type { ClusterRole, ClusterRoleBinding } from '@naru/api';
import { binding, clusterRole, read, rule, urls, write } from './rules';
import { userRoles } from './user-roles';

const events = rule('create,patch,update', 'core,events.k8s.io', 'events');
const leases = rule('create,get,list,watch,update,patch,delete', 'coordination.k8s.io', 'leases');
const healthUrls = urls('/healthz', '/livez', '/readyz', '/version', '/version/');

/** Narrower roles come with the controllers' own identities; as one process it needs what they need together. */
const controllerManager = clusterRole(
  'system:kube-controller-manager',
  rule(read, '*', '*'),
  rule(
    write,
    'core',
    'pods,endpoints,services,services/status,namespaces,namespaces/status,namespaces/finalize,nodes,nodes/status,configmaps,secrets,serviceaccounts,persistentvolumes,persistentvolumes/status,persistentvolumeclaims,persistentvolumeclaims/status,replicationcontrollers,replicationcontrollers/status,resourcequotas,resourcequotas/status,pods/status,pods/finalizers',
  ),
  rule(write, 'apps,batch,autoscaling,policy,discovery.k8s.io,storage.k8s.io,certificates.k8s.io', '*'),
  rule(write, 'networking.k8s.io', 'servicecidrs,servicecidrs/status'),
  rule(write, 'resource.k8s.io', 'resourceclaims,resourceclaims/status'),
  rule('create', 'core', 'serviceaccounts/token,pods/eviction'),
  rule('create', 'authentication.k8s.io,authorization.k8s.io', 'tokenreviews,subjectaccessreviews'),
  // Namespace deletion and garbage collection reach every kind.
  rule('delete,deletecollection,patch,update', '*', '*'),
  // Aggregation writes rules into cluster roles.
  rule('escalate', 'rbac.authorization.k8s.io', 'clusterroles'),
  rule('approve,sign', 'certificates.k8s.io', 'signers'),
  events,
  leases,
);

const scheduler = clusterRole(
  'system:kube-scheduler',
  rule(read, 'core', 'nodes,pods,namespaces,services,replicationcontrollers,persistentvolumeclaims,persistentvolumes'),
  rule(read, 'apps', 'replicasets,statefulsets'),
  rule(read, 'policy', 'poddisruptionbudgets'),
  rule(read, 'storage.k8s.io', 'storageclasses,csinodes,csidrivers,csistoragecapacities,volumeattachments'),
  rule(read, 'resource.k8s.io', '*'),
  rule('patch,update', 'resource.k8s.io', 'resourceclaims,resourceclaims/status'),
  // What a pod asks for as extended resources it may get by a claim.
  rule('create,delete', 'resource.k8s.io', 'resourceclaims'),
  rule(read, 'scheduling.k8s.io', 'priorityclasses'),
  rule('delete', 'core', 'pods'),
  rule('create', 'core', 'bindings,pods/binding'),
  rule('patch,update', 'core', 'pods/status,persistentvolumeclaims,persistentvolumes'),
  rule('create', 'authentication.k8s.io', 'tokenreviews'),
  rule('create', 'authorization.k8s.io', 'subjectaccessreviews'),
  events,
  leases,
);

const proxy = clusterRole(
  'system:kube-proxy',
  rule(read, 'core', 'services,endpoints,nodes,pods,namespaces'),
  rule(read, 'discovery.k8s.io', 'endpointslices'),
  rule(read, 'networking.k8s.io', 'servicecidrs,networkpolicies'),
  events,
);

/** The cluster DNS: reads what names are made of, and keeps the Service and the endpoints of its own. */
const dns = clusterRole(
  'system:dns',
  rule(read, 'core', 'services,namespaces,pods'),
  rule('create', 'core', 'services'),
  rule(`${read},create,delete,patch,update`, 'discovery.k8s.io', 'endpointslices'),
  leases,
);

/** The metrics server: asks the kubelets, and keeps the Service, endpoint and APIService by which it is found. */
const metricsServer = clusterRole(
  'system:metrics-server',
  rule('get', 'core', 'nodes/metrics'),
  rule(read, 'core', 'nodes,pods'),
  rule('get,create', 'core', 'services'),
  rule('get,create,delete', 'discovery.k8s.io', 'endpointslices'),
  rule('get,create,patch', 'apiregistration.k8s.io', 'apiservices'),
);

const csrPrefix = 'system:certificates.k8s.io:certificatesigningrequests';

/** Roles that no process of ours has, with which people equip what they add to a cluster. */
const forOthers: readonly ClusterRole[] = [
  ...['kube-apiserver-client', 'kube-apiserver-client-kubelet', 'kubelet-serving', 'legacy-unknown'].map(signer =>
    clusterRole(`system:certificates.k8s.io:${signer}-approver`, {
      ...rule('approve', 'certificates.k8s.io', 'signers'),
      resourceNames: [`kubernetes.io/${signer}`],
    }),
  ),
  clusterRole(
    'system:kubelet-api-admin',
    rule(`${read},proxy`, 'core', 'nodes'),
    rule('*', 'core', ['configz', 'healthz', 'log', 'metrics', 'pods', 'proxy', 'stats'].map(s => `nodes/${s}`).join()),
  ),
  clusterRole('system:node-bootstrapper', rule(`create,${read}`, 'certificates.k8s.io', 'certificatesigningrequests')),
  clusterRole(
    'system:node-problem-detector',
    rule('get', 'core', 'nodes'),
    rule('patch', 'core', 'nodes/status'),
    events,
  ),
  clusterRole(
    'system:persistent-volume-provisioner',
    rule(`${read},create,delete`, 'core', 'persistentvolumes'),
    rule(`${read},update`, 'core', 'persistentvolumeclaims'),
    rule(read, 'storage.k8s.io', 'storageclasses'),
    rule('watch', 'core', 'events'),
    events,
  ),
  clusterRole(
    'system:volume-scheduler',
    rule(`${read},patch,update`, 'core', 'persistentvolumes,persistentvolumeclaims'),
    rule(read, 'storage.k8s.io', 'storageclasses'),
  ),
];

/** The roles and bindings that a cluster begins with; changed ones are set right at each start. */
export const bootstrapClusterRoles: readonly ClusterRole[] = [
  clusterRole('cluster-admin', rule('*', '*', '*'), { verbs: ['*'], nonResourceURLs: ['*'] }),
  clusterRole(
    'system:discovery',
    urls(
      '/api',
      '/api/*',
      '/apis',
      '/apis/*',
      '/healthz',
      '/livez',
      '/openapi',
      '/openapi/*',
      '/readyz',
      '/version',
      '/version/',
    ),
  ),
  clusterRole('system:public-info-viewer', healthUrls),
  clusterRole(
    'system:monitoring',
    urls('/metrics', '/metrics/*', '/livez', '/livez/*', '/readyz', '/readyz/*', '/healthz', '/healthz/*'),
  ),
  clusterRole(
    'system:basic-user',
    rule('create', 'authorization.k8s.io', 'selfsubjectaccessreviews,selfsubjectrulesreviews'),
    rule('create', 'authentication.k8s.io', 'selfsubjectreviews'),
  ),
  clusterRole('system:service-account-issuer-discovery', urls('/.well-known/openid-configuration', '/openid/v1/jwks')),
  clusterRole(
    'system:auth-delegator',
    rule('create', 'authentication.k8s.io', 'tokenreviews'),
    rule('create', 'authorization.k8s.io', 'subjectaccessreviews'),
  ),
  ...['nodeclient', 'selfnodeclient'].map(kind =>
    clusterRole(`${csrPrefix}:${kind}`, rule('create', 'certificates.k8s.io', `certificatesigningrequests/${kind}`)),
  ),
  ...userRoles,
  ...forOthers,
  clusterRole('system:node-proxier', ...(proxy.rules ?? [])),
  controllerManager,
  scheduler,
  proxy,
  dns,
  metricsServer,
];

export const bootstrapClusterRoleBindings: readonly ClusterRoleBinding[] = [
  binding('cluster-admin', 'Group', 'system:masters'),
  binding('system:discovery', 'Group', 'system:authenticated'),
  binding('system:public-info-viewer', 'Group', 'system:authenticated', 'system:unauthenticated'),
  binding('system:basic-user', 'Group', 'system:authenticated'),
  binding('system:monitoring', 'Group', 'system:monitoring'),
  binding('system:service-account-issuer-discovery', 'Group', 'system:serviceaccounts'),
  binding('system:kube-controller-manager', 'User', 'system:kube-controller-manager'),
  binding('system:kube-scheduler', 'User', 'system:kube-scheduler'),
  binding('system:kube-proxy', 'User', 'system:kube-proxy'),
  binding('system:dns', 'User', 'system:dns'),
  binding('system:metrics-server', 'User', 'system:metrics-server'),
  // A node renews its own certificate without anybody's approval.
  binding(`${csrPrefix}:selfnodeclient`, 'Group', 'system:nodes'),
];
