import type { Controller } from './framework/controller';
import { attachDetachController } from './controllers/attach-detach/attach-detach-controller';
import {
  csrApprovingController,
  csrCleanerController,
  csrSigningController,
} from './controllers/certificates/certificate-controllers';
import { clusterRoleAggregationController } from './controllers/clusterrole-aggregation/clusterrole-aggregation-controller';
import { cronJobController } from './controllers/cronjob/cronjob-controller';
import { daemonSetController } from './controllers/daemonset/daemonset-controller';
import { deploymentController } from './controllers/deployment/deployment-controller';
import { disruptionController } from './controllers/disruption/disruption-controller';
import { ephemeralVolumeController } from './controllers/ephemeral-volume/ephemeral-volume-controller';
import { localPathProvisionerController } from './controllers/local-path-provisioner/local-path-provisioner-controller';
import { persistentVolumeBinderController } from './controllers/persistent-volume-binder/persistent-volume-binder-controller';
import {
  pvProtectionController,
  pvcProtectionController,
} from './controllers/volume-protection/volume-protection-controllers';
import { endpointSliceMirroringController } from './controllers/endpointslice-mirroring/endpointslice-mirroring-controller';
import { endpointSliceController } from './controllers/endpointslice/endpointslice-controller';
import { endpointsController } from './controllers/endpoints/endpoints-controller';
import { garbageCollectorController } from './controllers/garbage-collector/garbage-collector-controller';
import { horizontalPodAutoscalerController } from './controllers/horizontal-pod-autoscaler/horizontal-pod-autoscaler-controller';
import { jobController } from './controllers/job/job-controller';
import { namespaceController } from './controllers/namespace/namespace-controller';
import { nodeIpamController } from './controllers/node-ipam/node-ipam-controller';
import { nodeLifecycleController } from './controllers/node-lifecycle/node-lifecycle-controller';
import { podGcController } from './controllers/pod-gc/pod-gc-controller';
import { replicaSetController } from './controllers/replicaset/replicaset-controller';
import { replicationController } from './controllers/replication/replication-controller';
import { volumeExpandController } from './controllers/volume-expand/volume-expand-controller';
import { resourceQuotaController } from './controllers/resource-quota/resource-quota-controller';
import {
  resourceClaimController,
  resourceClaimReleaseController,
} from './controllers/resource-claim/resource-claim-controller';
import { rootCaController } from './controllers/root-ca/root-ca-controller';
import { serviceAccountController } from './controllers/service-account/service-account-controller';
import { serviceCidrController } from './controllers/service-cidr/service-cidr-controller';
import { serviceLbController } from './controllers/service-lb/service-lb-controller';
import { statefulSetController } from './controllers/statefulset/statefulset-controller';
import { ttlAfterFinishedController } from './controllers/ttl-after-finished/ttl-after-finished-controller';
import { validatingAdmissionPolicyStatusController } from './controllers/validating-admission-policy-status/validating-admission-policy-status-controller';
import { taintEvictionController } from './controllers/taint-eviction/taint-eviction-controller';

/** Every controller. Quotas and the garbage collector are last: they follow everything, and share the informers of the others. */
export const controllers: readonly Controller[] = [
  nodeIpamController,
  nodeLifecycleController,
  taintEvictionController,
  podGcController,
  deploymentController,
  replicaSetController,
  replicationController,
  daemonSetController,
  statefulSetController,
  jobController,
  cronJobController,
  ttlAfterFinishedController,
  endpointSliceController,
  serviceLbController,
  serviceCidrController,
  endpointsController,
  endpointSliceMirroringController,
  persistentVolumeBinderController,
  localPathProvisionerController,
  attachDetachController,
  pvcProtectionController,
  pvProtectionController,
  ephemeralVolumeController,
  resourceClaimController,
  resourceClaimReleaseController,
  volumeExpandController,
  horizontalPodAutoscalerController,
  disruptionController,
  clusterRoleAggregationController,
  validatingAdmissionPolicyStatusController,
  csrApprovingController,
  csrSigningController,
  csrCleanerController,
  serviceAccountController,
  rootCaController,
  namespaceController,
  resourceQuotaController,
  garbageCollectorController,
];
