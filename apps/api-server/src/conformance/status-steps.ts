interface StatusSteps {
  /** Merged into the status. */
  patch: object;
  /** Written over these fields of it. */
  update: object;
}

const transition = { lastTransitionTime: '2026-01-02T03:04:05Z' };
const condition = (type: string, more: object = {}): object => ({
  type,
  status: 'True',
  reason: 'E2E',
  message: 'Set from a test',
  ...more,
});

function conditions(more: object = {}): StatusSteps {
  return {
    patch: { conditions: [condition('StatusPatch', more)] },
    update: { conditions: [condition('StatusPatch', more), condition('StatusUpdate', more)] },
  };
}

const balancer = (ip: string): object => ({ loadBalancer: { ingress: [{ ip }] } });
const lost = { time: '2026-01-02T03:04:05Z', message: 'lost' };
const autoscaled = { currentReplicas: 1, desiredReplicas: 2 };

/** Of each kind with a status: two that may be written, as upstream's tests do. */
export const statusSteps: Record<string, StatusSteps> = {
  'v1 Namespace': conditions(),
  'v1 Node': conditions(),
  'v1 PersistentVolume': { patch: { reason: 'patched' }, update: { message: 'updated', reason: 'patched' } },
  'v1 PersistentVolumeClaim': conditions(),
  'v1 Pod': conditions(),
  'v1 ReplicationController': conditions(),
  'v1 ResourceQuota': {
    patch: { hard: { 'count/apples.example.com': '5' } },
    update: { hard: { 'count/apples.example.com': '5' }, used: { 'count/apples.example.com': '1' } },
  },
  'v1 Service': { patch: balancer('203.0.113.1'), update: conditions(transition).update },
  'apps/v1 DaemonSet': conditions(),
  'apps/v1 Deployment': conditions(),
  'apps/v1 ReplicaSet': conditions(),
  'apps/v1 StatefulSet': conditions(),
  'batch/v1 CronJob': {
    patch: { lastScheduleTime: '2026-01-02T03:04:05Z' },
    update: { lastScheduleTime: '2026-01-02T04:04:05Z' },
  },
  'batch/v1 Job': { patch: { startTime: '2026-01-02T03:04:05Z' }, update: { active: 1, ready: 1 } },
  'autoscaling/v1 HorizontalPodAutoscaler': { patch: autoscaled, update: { ...autoscaled, desiredReplicas: 3 } },
  'autoscaling/v2 HorizontalPodAutoscaler': { patch: autoscaled, update: { ...autoscaled, desiredReplicas: 3 } },
  'policy/v1 PodDisruptionBudget': {
    patch: { observedGeneration: 1, disruptionsAllowed: 0 },
    update: { conditions: [condition('StatusUpdate', transition)] },
  },
  'certificates.k8s.io/v1 CertificateSigningRequest': conditions(),
  'networking.k8s.io/v1 Ingress': { patch: balancer('169.1.1.1'), update: balancer('169.1.1.2') },
  'networking.k8s.io/v1 ServiceCIDR': conditions(transition),
  'resource.k8s.io/v1 ResourceClaim': {
    patch: { allocation: { devices: {} } },
    update: { allocation: { devices: {} }, reservedFor: [{ resource: 'pods', name: 'p', uid: 'u' }] },
  },
  'storage.k8s.io/v1 VolumeAttachment': { patch: { attached: true }, update: { attached: false, attachError: lost } },
  'flowcontrol.apiserver.k8s.io/v1 FlowSchema': conditions(),
  'flowcontrol.apiserver.k8s.io/v1 PriorityLevelConfiguration': conditions(),
  'admissionregistration.k8s.io/v1 ValidatingAdmissionPolicy': conditions(transition),
  'apiextensions.k8s.io/v1 CustomResourceDefinition': conditions(),
  'apiregistration.k8s.io/v1 APIService': conditions(),
};
