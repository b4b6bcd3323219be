import type {
  HorizontalPodAutoscaler,
  HorizontalPodAutoscalerV1,
  Ingress,
  IngressClass,
  NetworkPolicy,
  ServiceCIDR,
  IPAddress,
  ResourceQuota,
  LimitRange,
  PodTemplate,
  ComponentStatus,
  RuntimeClass,
  VolumeAttachment,
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  VolumeAttributesClass,
  ValidatingWebhookConfiguration,
  MutatingWebhookConfiguration,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
  MutatingAdmissionPolicy,
  MutatingAdmissionPolicyBinding,
  FlowSchema,
  PriorityLevelConfiguration,
  ResourceClaim,
  ResourceClaimTemplate,
  DeviceClass,
  ResourceSlice,
  APIService,
  Binding,
  ClusterRole,
  ClusterRoleBinding,
  ConfigMap,
  ControllerRevision,
  CoreEvent,
  CronJob,
  DaemonSet,
  Deployment,
  Endpoints,
  EndpointSlice,
  Event,
  Job,
  KubeObject,
  Lease,
  Namespace,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  PodDisruptionBudget,
  PriorityClass,
  ReplicaSet,
  ReplicationController,
  Role,
  RoleBinding,
  Secret,
  Service,
  ServiceAccount,
  StatefulSet,
  StorageClass,
  CertificateSigningRequest,
  CustomResourceDefinition,
} from './types';

/** Names a kind of object on every wire. The phantom type parameter lets a client answer with the right type. */
export interface ResourceType<T extends KubeObject = KubeObject> {
  /** "" for the core group. */
  readonly group: string;
  readonly version: string;
  /** Plural, lower case: "pods". */
  readonly resource: string;
  readonly kind: string;
  readonly namespaced: boolean;
  /** Never set: carries the type only. */
  readonly object?: T;
}

function define<T extends KubeObject>(
  group: string,
  version: string,
  resource: string,
  kind: string,
  namespaced = true,
): ResourceType<T> {
  return { group, version, resource, kind, namespaced };
}

/** "v1" or "apps/v1". */
export function apiVersionOf(type: Pick<ResourceType, 'group' | 'version'>): string {
  return type.group === '' ? type.version : `${type.group}/${type.version}`;
}

export const pods = define<Pod>('', 'v1', 'pods', 'Pod');
export const bindings = define<Binding>('', 'v1', 'bindings', 'Binding');
export const nodes = define<Node>('', 'v1', 'nodes', 'Node', false);
export const namespaces = define<Namespace>('', 'v1', 'namespaces', 'Namespace', false);
export const services = define<Service>('', 'v1', 'services', 'Service');
export const endpoints = define<Endpoints>('', 'v1', 'endpoints', 'Endpoints');
export const endpointSlices = define<EndpointSlice>('discovery.k8s.io', 'v1', 'endpointslices', 'EndpointSlice');
export const configMaps = define<ConfigMap>('', 'v1', 'configmaps', 'ConfigMap');
export const secrets = define<Secret>('', 'v1', 'secrets', 'Secret');
export const serviceAccounts = define<ServiceAccount>('', 'v1', 'serviceaccounts', 'ServiceAccount');
export const coreEvents = define<CoreEvent>('', 'v1', 'events', 'Event');
export const events = define<Event>('events.k8s.io', 'v1', 'events', 'Event');
export const leases = define<Lease>('coordination.k8s.io', 'v1', 'leases', 'Lease');
export const deployments = define<Deployment>('apps', 'v1', 'deployments', 'Deployment');
export const replicaSets = define<ReplicaSet>('apps', 'v1', 'replicasets', 'ReplicaSet');
export const statefulSets = define<StatefulSet>('apps', 'v1', 'statefulsets', 'StatefulSet');
export const daemonSets = define<DaemonSet>('apps', 'v1', 'daemonsets', 'DaemonSet');
export const controllerRevisions = define<ControllerRevision>(
  'apps',
  'v1',
  'controllerrevisions',
  'ControllerRevision',
);
export const replicationControllers = define<ReplicationController>(
  '',
  'v1',
  'replicationcontrollers',
  'ReplicationController',
);
export const jobs = define<Job>('batch', 'v1', 'jobs', 'Job');
export const cronJobs = define<CronJob>('batch', 'v1', 'cronjobs', 'CronJob');
export const podDisruptionBudgets = define<PodDisruptionBudget>(
  'policy',
  'v1',
  'poddisruptionbudgets',
  'PodDisruptionBudget',
);
export const priorityClasses = define<PriorityClass>(
  'scheduling.k8s.io',
  'v1',
  'priorityclasses',
  'PriorityClass',
  false,
);
export const persistentVolumes = define<PersistentVolume>('', 'v1', 'persistentvolumes', 'PersistentVolume', false);
export const persistentVolumeClaims = define<PersistentVolumeClaim>(
  '',
  'v1',
  'persistentvolumeclaims',
  'PersistentVolumeClaim',
);
export const storageClasses = define<StorageClass>('storage.k8s.io', 'v1', 'storageclasses', 'StorageClass', false);
export const clusterRoles = define<ClusterRole>(
  'rbac.authorization.k8s.io',
  'v1',
  'clusterroles',
  'ClusterRole',
  false,
);
export const clusterRoleBindings = define<ClusterRoleBinding>(
  'rbac.authorization.k8s.io',
  'v1',
  'clusterrolebindings',
  'ClusterRoleBinding',
  false,
);
export const roles = define<Role>('rbac.authorization.k8s.io', 'v1', 'roles', 'Role');
export const roleBindings = define<RoleBinding>('rbac.authorization.k8s.io', 'v1', 'rolebindings', 'RoleBinding');
export const certificateSigningRequests = define<CertificateSigningRequest>(
  'certificates.k8s.io',
  'v1',
  'certificatesigningrequests',
  'CertificateSigningRequest',
  false,
);
export const customResourceDefinitions = define<CustomResourceDefinition>(
  'apiextensions.k8s.io',
  'v1',
  'customresourcedefinitions',
  'CustomResourceDefinition',
  false,
);
export const horizontalPodAutoscalers = define<HorizontalPodAutoscaler>(
  'autoscaling',
  'v2',
  'horizontalpodautoscalers',
  'HorizontalPodAutoscaler',
);
export const horizontalPodAutoscalersV1 = define<HorizontalPodAutoscalerV1>(
  'autoscaling',
  'v1',
  'horizontalpodautoscalers',
  'HorizontalPodAutoscaler',
);
export const ingresses = define<Ingress>('networking.k8s.io', 'v1', 'ingresses', 'Ingress');
export const ingressClasses = define<IngressClass>('networking.k8s.io', 'v1', 'ingressclasses', 'IngressClass', false);
export const networkPolicies = define<NetworkPolicy>('networking.k8s.io', 'v1', 'networkpolicies', 'NetworkPolicy');
export const serviceCIDRs = define<ServiceCIDR>('networking.k8s.io', 'v1', 'servicecidrs', 'ServiceCIDR', false);
export const ipAddresses = define<IPAddress>('networking.k8s.io', 'v1', 'ipaddresses', 'IPAddress', false);
export const resourceQuotas = define<ResourceQuota>('', 'v1', 'resourcequotas', 'ResourceQuota');
export const limitRanges = define<LimitRange>('', 'v1', 'limitranges', 'LimitRange');
export const podTemplates = define<PodTemplate>('', 'v1', 'podtemplates', 'PodTemplate');
export const componentStatuses = define<ComponentStatus>('', 'v1', 'componentstatuses', 'ComponentStatus', false);
export const runtimeClasses = define<RuntimeClass>('node.k8s.io', 'v1', 'runtimeclasses', 'RuntimeClass', false);
export const volumeAttachments = define<VolumeAttachment>(
  'storage.k8s.io',
  'v1',
  'volumeattachments',
  'VolumeAttachment',
  false,
);
export const csiDrivers = define<CSIDriver>('storage.k8s.io', 'v1', 'csidrivers', 'CSIDriver', false);
export const csiNodes = define<CSINode>('storage.k8s.io', 'v1', 'csinodes', 'CSINode', false);
export const csiStorageCapacities = define<CSIStorageCapacity>(
  'storage.k8s.io',
  'v1',
  'csistoragecapacities',
  'CSIStorageCapacity',
);
export const volumeAttributesClasses = define<VolumeAttributesClass>(
  'storage.k8s.io',
  'v1',
  'volumeattributesclasses',
  'VolumeAttributesClass',
  false,
);
export const validatingWebhookConfigurations = define<ValidatingWebhookConfiguration>(
  'admissionregistration.k8s.io',
  'v1',
  'validatingwebhookconfigurations',
  'ValidatingWebhookConfiguration',
  false,
);
export const mutatingWebhookConfigurations = define<MutatingWebhookConfiguration>(
  'admissionregistration.k8s.io',
  'v1',
  'mutatingwebhookconfigurations',
  'MutatingWebhookConfiguration',
  false,
);
export const validatingAdmissionPolicies = define<ValidatingAdmissionPolicy>(
  'admissionregistration.k8s.io',
  'v1',
  'validatingadmissionpolicies',
  'ValidatingAdmissionPolicy',
  false,
);
export const validatingAdmissionPolicyBindings = define<ValidatingAdmissionPolicyBinding>(
  'admissionregistration.k8s.io',
  'v1',
  'validatingadmissionpolicybindings',
  'ValidatingAdmissionPolicyBinding',
  false,
);
export const mutatingAdmissionPolicies = define<MutatingAdmissionPolicy>(
  'admissionregistration.k8s.io',
  'v1',
  'mutatingadmissionpolicies',
  'MutatingAdmissionPolicy',
  false,
);
export const mutatingAdmissionPolicyBindings = define<MutatingAdmissionPolicyBinding>(
  'admissionregistration.k8s.io',
  'v1',
  'mutatingadmissionpolicybindings',
  'MutatingAdmissionPolicyBinding',
  false,
);
export const flowSchemas = define<FlowSchema>('flowcontrol.apiserver.k8s.io', 'v1', 'flowschemas', 'FlowSchema', false);
export const priorityLevelConfigurations = define<PriorityLevelConfiguration>(
  'flowcontrol.apiserver.k8s.io',
  'v1',
  'prioritylevelconfigurations',
  'PriorityLevelConfiguration',
  false,
);
export const resourceClaims = define<ResourceClaim>('resource.k8s.io', 'v1', 'resourceclaims', 'ResourceClaim');
export const resourceClaimTemplates = define<ResourceClaimTemplate>(
  'resource.k8s.io',
  'v1',
  'resourceclaimtemplates',
  'ResourceClaimTemplate',
);
export const deviceClasses = define<DeviceClass>('resource.k8s.io', 'v1', 'deviceclasses', 'DeviceClass', false);
export const resourceSlices = define<ResourceSlice>('resource.k8s.io', 'v1', 'resourceslices', 'ResourceSlice', false);
export const apiServices = define<APIService>('apiregistration.k8s.io', 'v1', 'apiservices', 'APIService', false);

export const tokenReviews = define('authentication.k8s.io', 'v1', 'tokenreviews', 'TokenReview', false);
export const selfSubjectReviews = define(
  'authentication.k8s.io',
  'v1',
  'selfsubjectreviews',
  'SelfSubjectReview',
  false,
);
export const localSubjectAccessReviews = define(
  'authorization.k8s.io',
  'v1',
  'localsubjectaccessreviews',
  'LocalSubjectAccessReview',
);
export const selfSubjectAccessReviews = define(
  'authorization.k8s.io',
  'v1',
  'selfsubjectaccessreviews',
  'SelfSubjectAccessReview',
  false,
);
export const selfSubjectRulesReviews = define(
  'authorization.k8s.io',
  'v1',
  'selfsubjectrulesreviews',
  'SelfSubjectRulesReview',
  false,
);
export const subjectAccessReviews = define(
  'authorization.k8s.io',
  'v1',
  'subjectaccessreviews',
  'SubjectAccessReview',
  false,
);
