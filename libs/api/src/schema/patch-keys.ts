/** How a list or object merges. Source: the patchStrategy, listType and listMapKey tags of the Go types in k8s.io/api. */
export interface MergeRule {
  /** Strategic merge: lists "merge" by `mergeKey` (by value without one) instead of being replaced. */
  readonly merge: boolean;
  /** Keys that the patch's $retainKeys does not name are dropped. */
  readonly retainKeys: boolean;
  /** An object that is replaced whole. */
  readonly replace: boolean;
  readonly mergeKey?: string;
  /** x-kubernetes-list-type, for server-side apply. */
  readonly listType: 'atomic' | 'set' | 'map';
  readonly listMapKeys: readonly string[];
}

/** "Type.field": strategy and merge key, then the list type with its keys where it is not the map by merge key. */
const rows: Record<string, string> = {
  'ObjectMeta.finalizers': 'merge; set',
  'ObjectMeta.ownerReferences': 'merge uid',
  'PodSpec.volumes': 'merge,retainKeys name',
  'PodSpec.initContainers': 'merge name',
  'PodSpec.containers': 'merge name',
  'PodSpec.ephemeralContainers': 'merge name',
  'PodSpec.imagePullSecrets': 'merge name',
  'PodSpec.hostAliases': 'merge ip',
  'PodSpec.topologySpreadConstraints': 'merge topologyKey; map topologyKey,whenUnsatisfiable',
  'PodSpec.schedulingGates': 'merge name',
  'PodSpec.resourceClaims': 'merge,retainKeys name',
  'PodStatus.conditions': 'merge type',
  'PodStatus.hostIPs': 'merge ip; atomic',
  'PodStatus.podIPs': 'merge ip',
  'PodStatus.resourceClaimStatuses': 'merge,retainKeys name',
  'Container.ports': 'merge containerPort; map containerPort,protocol',
  'Container.env': 'merge name',
  'Container.volumeMounts': 'merge mountPath',
  'Container.volumeDevices': 'merge devicePath',
  'EphemeralContainer.ports': 'merge containerPort; map containerPort,protocol',
  'EphemeralContainer.env': 'merge name',
  'EphemeralContainer.volumeMounts': 'merge mountPath',
  'EphemeralContainer.volumeDevices': 'merge devicePath',
  'ContainerStatus.volumeMounts': 'merge mountPath',
  'ContainerStatus.allocatedResourcesStatus': 'merge name',
  'ResourceStatus.resources': '; map resourceID',
  'ResourcePolicyRule.verbs': '; set',
  'ResourcePolicyRule.apiGroups': '; set',
  'ResourcePolicyRule.resources': '; set',
  'ResourcePolicyRule.namespaces': '; set',
  'NonResourcePolicyRule.verbs': '; set',
  'NonResourcePolicyRule.nonResourceURLs': '; set',
  'MutatingAdmissionPolicySpec.matchConditions': 'merge name',
  'ResourceClaimStatus.reservedFor': 'merge uid',
  'ResourceClaimStatus.devices': '; map driver,device,pool,shareID',
  'AllocatedDeviceStatus.conditions': '; map type',
  'PodCertificateRequestStatus.conditions': 'merge type',
  'DeviceTaintRuleStatus.conditions': 'merge type',
  'ResourceRequirements.claims': '; map name',
  'ContainerRestartRuleOnExitCodes.values': '; set',
  'ReplicationControllerStatus.conditions': 'merge type',
  'ServiceSpec.ports': 'merge port; map port,protocol',
  'ServiceStatus.conditions': 'merge type',
  'ServiceAccount.secrets': 'merge name',
  'NodeSpec.podCIDRs': 'merge; set',
  'NodeStatus.conditions': 'merge type',
  'NodeStatus.addresses': 'merge type',
  'NamespaceStatus.conditions': 'merge type',
  'PersistentVolumeClaimStatus.conditions': 'merge type',
  'ComponentStatus.conditions': 'merge type',
  'DeploymentSpec.strategy': 'retainKeys',
  'DeploymentStatus.conditions': 'merge type',
  'StatefulSetStatus.conditions': 'merge type',
  'DaemonSetStatus.conditions': 'merge type',
  'ReplicaSetStatus.conditions': 'merge type',
  'JobStatus.conditions': 'merge type; atomic',
  'PodFailurePolicyOnExitCodesRequirement.values': '; set',
  'UncountedTerminatedPods.succeeded': '; set',
  'UncountedTerminatedPods.failed': '; set',
  'HorizontalPodAutoscalerStatus.conditions': 'merge type',
  'CertificateSigningRequestStatus.conditions': '; map type',
  'Endpoint.addresses': '; set',
  'PodDisruptionBudgetSpec.selector': 'replace',
  'PodDisruptionBudgetStatus.conditions': 'merge type',
  'ServiceCIDRStatus.conditions': 'merge type',
  'CSIDriverSpec.volumeLifecycleModes': '; set',
  'CSINodeSpec.drivers': 'merge name',
  'ValidatingWebhookConfiguration.webhooks': 'merge name',
  'MutatingWebhookConfiguration.webhooks': 'merge name',
  'ValidatingWebhook.matchConditions': 'merge name',
  'MutatingWebhook.matchConditions': 'merge name',
  'ValidatingAdmissionPolicySpec.matchConditions': 'merge name',
  'ValidatingAdmissionPolicySpec.variables': 'merge name',
  'ValidatingAdmissionPolicyBindingSpec.validationActions': '; set',
  'ValidatingAdmissionPolicyStatus.conditions': '; map type',
  'CustomResourceDefinitionStatus.conditions': '; map type',
  'APIServiceStatus.conditions': 'merge type',
  'FlowSchemaStatus.conditions': 'merge type',
  'PriorityLevelConfigurationStatus.conditions': 'merge type',
};

/** Objects that server-side apply treats as one value (x-kubernetes-map-type: atomic). */
export const atomicTypes: ReadonlySet<string> = new Set([
  'LabelSelector',
  'LocalObjectReference',
  'SecretKeySelector',
  'ConfigMapKeySelector',
  'ObjectReference',
  'NodeSelector',
  'NodeSelectorTerm',
  'ObjectFieldSelector',
  'ResourceFieldSelector',
  'TopologySelectorTerm',
  'TypedLocalObjectReference',
  'SecretReference',
  'ScopeSelector',
  'OwnerReference',
  'FileKeySelector',
  'RoleRef',
  'CrossVersionObjectReference',
  'EndpointAddress',
  'EndpointPort',
  'MatchResources',
  'NamedRuleWithOperations',
  'ParamKind',
  'ParamRef',
  'ServiceBackendPort',
  'Subject',
  'Variable',
]);

/** Fields that merge otherwise than their type says (x-kubernetes-map-type beside the field). */
const fieldMapTypes = new Map<string, 'atomic' | 'granular'>([
  ['PodSpec.nodeSelector', 'atomic'],
  ['ServiceSpec.selector', 'atomic'],
  ['ReplicationControllerSpec.selector', 'atomic'],
  ['PersistentVolumeSpec.claimRef', 'granular'],
]);

export function fieldMapType(bareTypeName: string, field: string): 'atomic' | 'granular' | undefined {
  return fieldMapTypes.get(`${bareTypeName}.${field}`);
}

/** What an absent key of a list's element counts as: ports are TCP. Source: the +default tags of the Go types. */
export const listKeyDefaults: ReadonlyMap<string, string> = new Map([
  ['ContainerPort.protocol', 'TCP'],
  ['ServicePort.protocol', 'TCP'],
]);

const plain: MergeRule = { merge: false, retainKeys: false, replace: false, listType: 'atomic', listMapKeys: [] };
const parsed = new Map<string, MergeRule>();

function parse(row: string): MergeRule {
  const [patch = '', list = ''] = row.split(';').map(part => part.trim());
  const [strategies = '', mergeKey] = patch.split(' ');
  const [type, keys] = list.split(' ');
  const listType = (type || (mergeKey ? 'map' : 'atomic')) as MergeRule['listType'];
  return {
    merge: strategies.includes('merge'),
    retainKeys: strategies.includes('retainKeys'),
    replace: strategies === 'replace',
    ...(mergeKey ? { mergeKey } : {}),
    listType,
    listMapKeys: listType === 'map' ? (keys ?? mergeKey ?? '').split(',') : [],
  };
}

/** How `field` of the type with that bare name merges. */
export function mergeRule(bareTypeName: string, field: string): MergeRule {
  const key = `${bareTypeName}.${field}`;
  const known = parsed.get(key);
  if (known) return known;
  const row = rows[key];
  if (row === undefined) return plain;
  const rule = parse(row);
  parsed.set(key, rule);
  return rule;
}
