import type * as k8s from '@kubernetes/client-node';
import type { Wire } from './wire';

export interface ObjectMeta extends Wire<k8s.V1ObjectMeta> {}
export interface OwnerReference extends Wire<k8s.V1OwnerReference> {}
export interface LabelSelector extends Wire<k8s.V1LabelSelector> {}
export interface Condition extends Wire<k8s.V1Condition> {}

/** What every stored object has. `spec`, `status` and the rest are the business of its kind. */
export interface KubeObject {
  apiVersion?: string | undefined;
  kind?: string | undefined;
  metadata?: ObjectMeta | undefined;
}

/** An object that was read from the cluster: its metadata is there. */
export type Stored<T extends KubeObject> = T & {
  metadata: ObjectMeta & { name: string; uid: string; resourceVersion: string };
};

export interface ObjectList<T> {
  apiVersion?: string;
  kind?: string;
  metadata: { resourceVersion?: string; continue?: string; remainingItemCount?: number };
  items: T[];
}

export interface Pod extends Wire<k8s.V1Pod> {}
export interface PodSpec extends Wire<k8s.V1PodSpec> {}
export interface PodStatus extends Wire<k8s.V1PodStatus> {}
export interface PodTemplateSpec extends Wire<k8s.V1PodTemplateSpec> {}
export interface Container extends Wire<k8s.V1Container> {}
export interface ContainerStatus extends Wire<k8s.V1ContainerStatus> {}
export interface Probe extends Wire<k8s.V1Probe> {}
export interface Volume extends Wire<k8s.V1Volume> {}
export interface Taint extends Wire<k8s.V1Taint> {}
export interface Toleration extends Wire<k8s.V1Toleration> {}
export interface Node extends Wire<k8s.V1Node> {}
export interface NodeStatus extends Wire<k8s.V1NodeStatus> {}
export interface Namespace extends Wire<k8s.V1Namespace> {}
export interface Service extends Wire<k8s.V1Service> {}
export interface ServicePort extends Wire<k8s.V1ServicePort> {}
export interface Endpoints extends Wire<k8s.V1Endpoints> {}
export interface EndpointSlice extends Wire<k8s.V1EndpointSlice> {}
export interface Endpoint extends Wire<k8s.V1Endpoint> {}
export interface ConfigMap extends Wire<k8s.V1ConfigMap> {}
export interface Secret extends Wire<k8s.V1Secret> {}
export interface ServiceAccount extends Wire<k8s.V1ServiceAccount> {}
export interface CoreEvent extends Wire<k8s.CoreV1Event> {}
export interface Event extends Wire<k8s.EventsV1Event> {}
export interface Lease extends Wire<k8s.V1Lease> {}
export interface Binding extends Wire<k8s.V1Binding> {}
export interface Eviction extends Wire<k8s.V1Eviction> {}
export interface Deployment extends Wire<k8s.V1Deployment> {}
export interface ReplicaSet extends Wire<k8s.V1ReplicaSet> {}
export interface StatefulSet extends Wire<k8s.V1StatefulSet> {}
export interface DaemonSet extends Wire<k8s.V1DaemonSet> {}
export interface ControllerRevision extends Wire<k8s.V1ControllerRevision> {}
export interface ReplicationController extends Wire<k8s.V1ReplicationController> {}
export interface Job extends Wire<k8s.V1Job> {}
export interface CronJob extends Wire<k8s.V1CronJob> {}
export interface PodDisruptionBudget extends Wire<k8s.V1PodDisruptionBudget> {}
export interface PriorityClass extends Wire<k8s.V1PriorityClass> {}
export interface PersistentVolume extends Wire<k8s.V1PersistentVolume> {}
export interface PersistentVolumeClaim extends Wire<k8s.V1PersistentVolumeClaim> {}
export interface StorageClass extends Wire<k8s.V1StorageClass> {}
export interface ClusterRole extends Wire<k8s.V1ClusterRole> {}
export interface ClusterRoleBinding extends Wire<k8s.V1ClusterRoleBinding> {}
export interface Role extends Wire<k8s.V1Role> {}
export interface RoleBinding extends Wire<k8s.V1RoleBinding> {}
export interface CertificateSigningRequest extends Wire<k8s.V1CertificateSigningRequest> {}
export interface HorizontalPodAutoscaler extends Wire<k8s.V2HorizontalPodAutoscaler> {}
export interface HorizontalPodAutoscalerV1 extends Wire<k8s.V1HorizontalPodAutoscaler> {}
export interface Ingress extends Wire<k8s.V1Ingress> {}
export interface IngressClass extends Wire<k8s.V1IngressClass> {}
export interface NetworkPolicy extends Wire<k8s.V1NetworkPolicy> {}
export interface ServiceCIDR extends Wire<k8s.V1ServiceCIDR> {}
export interface IPAddress extends Wire<k8s.V1IPAddress> {}
export interface ResourceQuota extends Wire<k8s.V1ResourceQuota> {}
export interface LimitRange extends Wire<k8s.V1LimitRange> {}
export interface PodTemplate extends Wire<k8s.V1PodTemplate> {}
export interface ComponentStatus extends Wire<k8s.V1ComponentStatus> {}
export interface RuntimeClass extends Wire<k8s.V1RuntimeClass> {}
export interface VolumeAttachment extends Wire<k8s.V1VolumeAttachment> {}
export interface CSIDriver extends Wire<k8s.V1CSIDriver> {}
export interface CSINode extends Wire<k8s.V1CSINode> {}
export interface CSIStorageCapacity extends Wire<k8s.V1CSIStorageCapacity> {}
export interface VolumeAttributesClass extends Wire<k8s.V1VolumeAttributesClass> {}
export interface ValidatingWebhookConfiguration extends Wire<k8s.V1ValidatingWebhookConfiguration> {}
export interface MutatingWebhookConfiguration extends Wire<k8s.V1MutatingWebhookConfiguration> {}
export interface ValidatingAdmissionPolicy extends Wire<k8s.V1ValidatingAdmissionPolicy> {}
export interface ValidatingAdmissionPolicyBinding extends Wire<k8s.V1ValidatingAdmissionPolicyBinding> {}
export interface MutatingAdmissionPolicy extends Wire<k8s.V1MutatingAdmissionPolicy> {}
export interface MutatingAdmissionPolicyBinding extends Wire<k8s.V1MutatingAdmissionPolicyBinding> {}
export interface FlowSchema extends Wire<k8s.V1FlowSchema> {}
export interface PriorityLevelConfiguration extends Wire<k8s.V1PriorityLevelConfiguration> {}
export interface ResourceClaim extends Wire<k8s.ResourceV1ResourceClaim> {}
export interface ResourceClaimTemplate extends Wire<k8s.V1ResourceClaimTemplate> {}
export interface DeviceClass extends Wire<k8s.V1DeviceClass> {}
export interface ResourceSlice extends Wire<k8s.V1ResourceSlice> {}
export interface APIService extends Wire<k8s.V1APIService> {}
export type { CustomResourceDefinition } from './extensions/types';
