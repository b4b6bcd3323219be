import type { KubeObject } from '@naru/api';

type Sample = KubeObject & Record<string, unknown>;

const container = { name: 'c', image: 'registry.example.com/app:1' };
const template = { metadata: { labels: { app: 'sample' } }, spec: { containers: [container] } };
const selector = { matchLabels: { app: 'sample' } };
const jobTemplate = { spec: { template: { spec: { containers: [container], restartPolicy: 'Never' } } } };
const rbac = { apiGroup: 'rbac.authorization.k8s.io', name: 'sample' };
const subjects = [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: 'jane' }];
const rules = [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }];
const devices = { requests: [{ name: 'gpu', exactly: { deviceClassName: 'gpu.example.com' } }] };
const webhook = {
  name: 'sample.example.com',
  clientConfig: { service: { namespace: 'elsewhere', name: 'webhook' } },
  sideEffects: 'None',
  admissionReviewVersions: ['v1'],
  // About nothing that there is.
  rules: [{ operations: ['CREATE'], apiGroups: ['none.example.com'], apiVersions: ['v1'], resources: ['none'] }],
};
const matchConstraints = { resourceRules: webhook.rules };
const policyName = 'sample';
const about = { apiVersion: 'v1', kind: 'Pod', name: 'p', namespace: 'samples' };
/** For CN=sample, signed by a key that nobody has kept. */
const request = [
  'LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlITE1ITUNBUUF3RVRFUE1BMEdBMVVFQXd3R2MyRnRjR3hsTUZr',
  'd0V3WUhLb1pJemowQ0FRWUlLb1pJemowRApBUWNEUWdBRTZpbDJLMllvQUFnL3BRSGd0VXZnODJJVmhxbXNiOXBEY0lFRkVsUHNV',
  'MVp6TTltT2RhWDhaNHRLCkN0OXpwK1JtRzVLbCsrOEZsSEw1ZXkwYWFGR2V3NkFBTUFvR0NDcUdTTTQ5QkFNQ0EwZ0FNRVVDSVFE',
  'ZzlMamkKYWR5blVLVTFsVTZ5QzVCK1BBUEc5c1V6Mi9Cclh6dkRDcnQ0V0FJZ0JWakQwMTRSSi82aHY4dW5TamNyd2hSbgpla2Uz',
  'TFRQNDUrK3ZkditMTzBnPQotLS0tLUVORCBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0K',
].join('');

function sample(apiVersion: string, kind: string, rest: object, name = 'sample'): Sample {
  return { apiVersion, kind, metadata: { name }, ...rest };
}

/** One object of each kind that is stored, as a user would write it; those with a namespace are for "samples". */
export const kindSamples: readonly Sample[] = [
  sample('v1', 'ConfigMap', { data: { a: 'b' } }),
  sample('v1', 'Endpoints', { subsets: [{ addresses: [{ ip: '10.1.1.1' }], ports: [{ port: 80 }] }] }),
  sample('v1', 'Event', { involvedObject: about, reason: 'Tried', message: 'm', type: 'Normal' }, 'sample.core'),
  sample('v1', 'LimitRange', { spec: { limits: [{ type: 'Container', max: { cpu: '2' } }] } }),
  sample('v1', 'Namespace', {}),
  sample('v1', 'Node', {}),
  sample('v1', 'PersistentVolume', {
    spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/tmp/sample' } },
  }),
  sample('v1', 'PersistentVolumeClaim', {
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
  }),
  sample('v1', 'Pod', { spec: { containers: [container] } }),
  sample('v1', 'PodTemplate', { template }),
  sample('v1', 'ReplicationController', { spec: { selector: { app: 'sample' }, template } }),
  sample('v1', 'ResourceQuota', { spec: { hard: { 'count/apples.example.com': '5' } } }),
  sample('v1', 'Secret', { data: { a: 'Yg==' } }),
  sample('v1', 'Service', { spec: { selector: { app: 'sample' }, ports: [{ port: 80 }] } }),
  sample('v1', 'ServiceAccount', {}),
  sample('apps/v1', 'ControllerRevision', { revision: 1, data: { a: 1 } }),
  sample('apps/v1', 'DaemonSet', { spec: { selector, template } }),
  sample('apps/v1', 'Deployment', { spec: { selector, template } }),
  sample('apps/v1', 'ReplicaSet', { spec: { selector, template } }),
  sample('apps/v1', 'StatefulSet', { spec: { selector, template, serviceName: 'sample' } }),
  sample('batch/v1', 'CronJob', { spec: { schedule: '0 0 * * *', jobTemplate } }),
  sample('batch/v1', 'Job', jobTemplate),
  sample('autoscaling/v2', 'HorizontalPodAutoscaler', {
    spec: { maxReplicas: 3, scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'sample' } },
  }),
  sample(
    'autoscaling/v1',
    'HorizontalPodAutoscaler',
    { spec: { maxReplicas: 3, scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'other' } } },
    'sample-v1',
  ),
  sample('policy/v1', 'PodDisruptionBudget', { spec: { minAvailable: 1, selector } }),
  sample('discovery.k8s.io/v1', 'EndpointSlice', { addressType: 'IPv4', endpoints: [{ addresses: ['10.1.1.1'] }] }),
  sample('events.k8s.io/v1', 'Event', {
    regarding: about,
    reason: 'Tried',
    action: 'Trying',
    type: 'Normal',
    eventTime: '2026-01-01T00:00:00.000000Z',
    reportingController: 'example.com/sample',
    reportingInstance: 'sample-1',
  }),
  sample('coordination.k8s.io/v1', 'Lease', { spec: { holderIdentity: 'me', leaseDurationSeconds: 15 } }),
  sample('certificates.k8s.io/v1', 'CertificateSigningRequest', {
    spec: { request, signerName: 'example.com/signer', usages: ['client auth'] },
  }),
  sample('networking.k8s.io/v1', 'Ingress', {
    spec: { defaultBackend: { service: { name: 'sample', port: { number: 80 } } } },
  }),
  sample('networking.k8s.io/v1', 'IngressClass', { spec: { controller: 'example.com/ingress' } }),
  sample(
    'networking.k8s.io/v1',
    'IPAddress',
    {
      spec: { parentRef: { resource: 'services', namespace: 'samples', name: 'sample' } },
    },
    '10.77.0.1',
  ),
  sample('networking.k8s.io/v1', 'NetworkPolicy', { spec: { podSelector: {} } }),
  sample('networking.k8s.io/v1', 'ServiceCIDR', { spec: { cidrs: ['10.77.0.0/24'] } }),
  sample('node.k8s.io/v1', 'RuntimeClass', { handler: 'crun' }),
  sample('rbac.authorization.k8s.io/v1', 'ClusterRole', { rules }),
  sample('rbac.authorization.k8s.io/v1', 'ClusterRoleBinding', { roleRef: { ...rbac, kind: 'ClusterRole' }, subjects }),
  sample('rbac.authorization.k8s.io/v1', 'Role', { rules }),
  sample('rbac.authorization.k8s.io/v1', 'RoleBinding', { roleRef: { ...rbac, kind: 'Role' }, subjects }),
  sample('resource.k8s.io/v1', 'DeviceClass', { spec: {} }),
  sample('resource.k8s.io/v1', 'ResourceClaim', { spec: { devices } }),
  sample('resource.k8s.io/v1', 'ResourceClaimTemplate', { spec: { spec: { devices } } }),
  sample('resource.k8s.io/v1', 'ResourceSlice', {
    spec: {
      driver: 'gpu.example.com',
      nodeName: 'n',
      pool: { name: 'n', generation: 1, resourceSliceCount: 1 },
      devices: [{ name: 'gpu-0' }],
    },
  }),
  sample('scheduling.k8s.io/v1', 'PriorityClass', { value: 100 }),
  sample('storage.k8s.io/v1', 'CSIDriver', { spec: {} }, 'csi.example.com'),
  sample('storage.k8s.io/v1', 'CSINode', { spec: { drivers: [{ name: 'csi.example.com', nodeID: 'n' }] } }),
  sample('storage.k8s.io/v1', 'CSIStorageCapacity', { storageClassName: 'sample', capacity: '1Gi' }),
  sample('storage.k8s.io/v1', 'StorageClass', { provisioner: 'csi.example.com' }),
  sample('storage.k8s.io/v1', 'VolumeAttachment', {
    spec: { attacher: 'csi.example.com', nodeName: 'n', source: { persistentVolumeName: 'sample' } },
  }),
  sample('storage.k8s.io/v1', 'VolumeAttributesClass', { driverName: 'csi.example.com', parameters: { iops: '10' } }),
  sample('flowcontrol.apiserver.k8s.io/v1', 'FlowSchema', {
    spec: { priorityLevelConfiguration: { name: 'sample' }, matchingPrecedence: 5000 },
  }),
  sample('flowcontrol.apiserver.k8s.io/v1', 'PriorityLevelConfiguration', {
    spec: { type: 'Limited', limited: { limitResponse: { type: 'Reject' } } },
  }),
  sample('admissionregistration.k8s.io/v1', 'MutatingAdmissionPolicy', {
    spec: {
      matchConstraints,
      mutations: [{ patchType: 'JSONPatch', jsonPatch: { expression: '[]' } }],
      reinvocationPolicy: 'Never',
    },
  }),
  sample('admissionregistration.k8s.io/v1', 'MutatingAdmissionPolicyBinding', { spec: { policyName } }),
  sample('admissionregistration.k8s.io/v1', 'MutatingWebhookConfiguration', { webhooks: [webhook] }),
  sample('admissionregistration.k8s.io/v1', 'ValidatingAdmissionPolicy', {
    spec: { matchConstraints, validations: [{ expression: 'true' }] },
  }),
  sample('admissionregistration.k8s.io/v1', 'ValidatingAdmissionPolicyBinding', {
    spec: { policyName, validationActions: ['Deny'] },
  }),
  sample('admissionregistration.k8s.io/v1', 'ValidatingWebhookConfiguration', { webhooks: [webhook] }),
  sample(
    'apiextensions.k8s.io/v1',
    'CustomResourceDefinition',
    {
      spec: {
        group: 'sample.example.com',
        scope: 'Namespaced',
        names: { plural: 'pears', kind: 'Pear' },
        versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } }],
      },
    },
    'pears.sample.example.com',
  ),
  sample(
    'apiregistration.k8s.io/v1',
    'APIService',
    {
      spec: {
        group: 'elsewhere.example.com',
        version: 'v1',
        service: { namespace: 'elsewhere', name: 'api' },
        insecureSkipTLSVerify: true,
        groupPriorityMinimum: 100,
        versionPriority: 10,
      },
    },
    'v1.elsewhere.example.com',
  ),
];
