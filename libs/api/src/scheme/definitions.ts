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
  row(customResourceDefinitionKind),
];
