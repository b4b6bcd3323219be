import { clusterRoleBindingKind, clusterRoleKind, roleBindingKind, roleKind } from '../kinds/rbac';
import { certificateSigningRequestKind } from '../kinds/certificate-signing-request';
import { configMapKind } from '../kinds/config-map';
import { controllerRevisionKind } from '../kinds/controller-revision';
import { cronJobKind, jobKind } from '../kinds/job';
import { customResourceDefinitionKind } from '../kinds/custom-resource-definition';
import { daemonSetKind } from '../kinds/daemon-set';
import { deploymentKind } from '../kinds/deployment';
import { endpointSliceKind, endpointsKind } from '../kinds/endpoints';
import { coreEventKind, eventKind } from '../kinds/event';
import { leaseKind } from '../kinds/lease';
import { namespaceKind } from '../kinds/namespace';
import { nodeKind } from '../kinds/node';
import { persistentVolumeClaimKind, persistentVolumeKind, storageClassKind } from '../kinds/storage';
import { podDisruptionBudgetKind } from '../kinds/pod-disruption-budget';
import { podKind } from '../kinds/pod';
import { priorityClassKind } from '../kinds/priority-class';
import { replicaSetKind, replicationControllerKind } from '../kinds/replica-set';
import { secretKind } from '../kinds/secret';
import { serviceAccountKind } from '../kinds/service-account';
import { serviceKind } from '../kinds/service';
import { statefulSetKind } from '../kinds/stateful-set';
import {
  validatingAdmissionPolicyKind,
  mutatingAdmissionPolicyKind,
  validatingAdmissionPolicyBindingKind,
  mutatingAdmissionPolicyBindingKind,
} from '../kinds/admission-policy';
import { apiServiceKind } from '../kinds/api-service';
import { componentStatusKind } from '../kinds/component-status';
import { csiDriverKind, csiNodeKind, csiStorageCapacityKind } from '../kinds/csi';
import { flowSchemaKind, priorityLevelConfigurationKind } from '../kinds/flow-control';
import { horizontalPodAutoscalerKind, horizontalPodAutoscalerV1Kind } from '../kinds/horizontal-pod-autoscaler';
import { ingressKind, ingressClassKind } from '../kinds/ingress';
import { limitRangeKind } from '../kinds/limit-range';
import { networkPolicyKind } from '../kinds/network-policy';
import { podTemplateKind } from '../kinds/pod-template';
import {
  resourceClaimKind,
  resourceClaimTemplateKind,
  deviceClassKind,
  resourceSliceKind,
} from '../kinds/resource-claim';
import { resourceQuotaKind } from '../kinds/resource-quota';
import { runtimeClassKind } from '../kinds/runtime-class';
import { serviceCIDRKind, ipAddressKind } from '../kinds/service-cidr';
import { volumeAttachmentKind } from '../kinds/volume-attachment';
import { volumeAttributesClassKind } from '../kinds/volume-attributes-class';
import { mutatingWebhookConfigurationKind, validatingWebhookConfigurationKind } from '../kinds/webhook-configuration';
import {
  bindingKind,
  localSubjectAccessReviewKind,
  selfSubjectAccessReviewKind,
  selfSubjectReviewKind,
  selfSubjectRulesReviewKind,
  subjectAccessReviewKind,
  tokenReviewKind,
} from '../kinds/asked';
import type { AnyDefinition, ResourceDefinition } from './definition';
import type { KubeObject } from '../types';

/** Forgets the object type: a definition is only ever given objects of its own kind. */
function row<T extends KubeObject>(definition: ResourceDefinition<T>): AnyDefinition {
  return definition as unknown as AnyDefinition;
}

/** Every built-in kind. */
export const definitions: readonly AnyDefinition[] = [
  row(configMapKind),
  row(endpointsKind),
  row(coreEventKind),
  row(namespaceKind),
  row(nodeKind),
  row(persistentVolumeClaimKind),
  row(persistentVolumeKind),
  row(podKind),
  row(replicationControllerKind),
  row(secretKind),
  row(serviceAccountKind),
  row(serviceKind),
  row(controllerRevisionKind),
  row(daemonSetKind),
  row(deploymentKind),
  row(replicaSetKind),
  row(statefulSetKind),
  row(eventKind),
  row(cronJobKind),
  row(jobKind),
  row(certificateSigningRequestKind),
  row(leaseKind),
  row(endpointSliceKind),
  row(podDisruptionBudgetKind),
  row(clusterRoleBindingKind),
  row(clusterRoleKind),
  row(roleBindingKind),
  row(roleKind),
  row(priorityClassKind),
  row(storageClassKind),
  row(validatingAdmissionPolicyKind),
  row(mutatingAdmissionPolicyKind),
  row(validatingAdmissionPolicyBindingKind),
  row(mutatingAdmissionPolicyBindingKind),
  row(apiServiceKind),
  row(componentStatusKind),
  row(csiDriverKind),
  row(csiNodeKind),
  row(csiStorageCapacityKind),
  row(flowSchemaKind),
  row(priorityLevelConfigurationKind),
  row(horizontalPodAutoscalerKind),
  row(horizontalPodAutoscalerV1Kind),
  row(ingressKind),
  row(ingressClassKind),
  row(limitRangeKind),
  row(networkPolicyKind),
  row(podTemplateKind),
  row(resourceClaimKind),
  row(resourceClaimTemplateKind),
  row(deviceClassKind),
  row(resourceSliceKind),
  row(resourceQuotaKind),
  row(runtimeClassKind),
  row(serviceCIDRKind),
  row(ipAddressKind),
  row(volumeAttachmentKind),
  row(volumeAttributesClassKind),
  row(mutatingWebhookConfigurationKind),
  row(validatingWebhookConfigurationKind),
  row(bindingKind),
  row(localSubjectAccessReviewKind),
  row(selfSubjectAccessReviewKind),
  row(selfSubjectReviewKind),
  row(selfSubjectRulesReviewKind),
  row(subjectAccessReviewKind),
  row(tokenReviewKind),
  row(customResourceDefinitionKind),
];
