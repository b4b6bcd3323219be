import { defaultPod } from '../defaults/pod-spec';
import { qosClassOf } from '../pod-qos';
import { pods } from '../resource';
import { ageColumn, nameColumn, text, wide } from '../table/columns';
import { formatRestarts, summarizePod, type PodSummary } from '../table/pod-summary';
import type { Pod } from '../types';
import { forbidden } from '../validation/field-error';
import { validateEphemeralContainers } from '../validation/pod/ephemeral-containers';
import { validateExtendedClaimStatus } from '../validation/pod/extended-claim-status';
import { validatePodSpec } from '../validation/pod/pod-spec';
import { takeResize, validateResize } from '../validation/pod/pod-resize';
import { validatePodUpdate } from '../validation/pod/pod-update';
import { defineKind } from './define-kind';
import { mergeLabelKeys } from './merge-label-keys';

/** Three columns want the same summary: it is made once a row. */
let last: { pod: Pod; summary: PodSummary } | undefined;
function summaryOf(pod: Pod): PodSummary {
  if (last?.pod !== pod) last = { pod, summary: summarizePod(pod) };
  return last.summary;
}

function readinessGates({ spec, status }: Pod): string {
  const gates = spec?.readinessGates ?? [];
  if (gates.length === 0) return '<none>';
  const open = gates.filter(gate =>
    status?.conditions?.some(c => c.type === gate.conditionType && c.status === 'True'),
  ).length;
  return `${open}/${gates.length}`;
}

export const podKind = defineKind(pods, {
  shortNames: ['po'],
  categories: ['all'],
  subresources: {
    status: true,
    special: ['attach', 'binding', 'eviction', 'exec', 'log', 'portforward', 'proxy'],
  },
  hasGeneration: true,
  applyDefaults: o => {
    if (o.spec) defaultPod(o.spec);
  },
  completeForCreate: mergeLabelKeys,
  prepareForCreate: o => {
    o.status = { phase: 'Pending', qosClass: qosClassOf(o) };
    if (o.spec?.schedulingGates?.length) {
      o.status.conditions = [
        {
          type: 'PodScheduled',
          observedGeneration: 1,
          status: 'False',
          reason: 'SchedulingGated',
          message: 'Scheduling is blocked due to non-empty scheduling gates',
        },
      ];
    }
  },
  prepareForStatusUpdate: (next, old) => {
    // Computed once; and the status of a pod is no way to change who owns it.
    const qosClass = old.status?.qosClass;
    if (next.status && qosClass) next.status.qosClass = qosClass;
    if (!next.metadata) return;
    if (old.metadata?.ownerReferences) next.metadata.ownerReferences = old.metadata.ownerReferences;
    else delete next.metadata.ownerReferences;
  },
  validate: (o, errors) => validatePodSpec(o.spec, 'spec', errors),
  validateCreate: (o, errors) => {
    if (o.spec?.ephemeralContainers?.length)
      errors.push(forbidden('spec.ephemeralContainers', 'cannot be set on create'));
  },
  validateUpdate: validatePodUpdate,
  validateStatusUpdate: (next, _old, errors) => validateExtendedClaimStatus(next, errors),
  parts: {
    ephemeralcontainers: {
      take: ({ spec }, old) => ({ spec: { ...old.spec!, ephemeralContainers: spec?.ephemeralContainers ?? [] } }),
      validate: validateEphemeralContainers,
    },
    resize: { take: takeResize, validate: validateResize },
  },
  selectable: {
    'spec.nodeName': o => o.spec?.nodeName,
    'spec.restartPolicy': o => o.spec?.restartPolicy,
    'spec.schedulerName': o => o.spec?.schedulerName,
    'spec.serviceAccountName': o => o.spec?.serviceAccountName,
    'spec.hostNetwork': o => o.spec?.hostNetwork ?? false,
    'status.phase': o => o.status?.phase,
    'status.podIP': o => o.status?.podIP,
    'status.podIPs': o => o.status?.podIPs?.map(p => p.ip).join(','),
    'status.nominatedNodeName': o => o.status?.nominatedNodeName,
  },
  columns: [
    nameColumn,
    text('Ready', 'The aggregate readiness state of this pod for accepting traffic.', o => summaryOf(o).ready),
    text('Status', 'The aggregate status of the containers in this pod.', o => summaryOf(o).reason),
    text(
      'Restarts',
      'The number of times the containers in this pod have been restarted and when the last container in this pod has restarted.',
      (o, nowMs) => formatRestarts(summaryOf(o), nowMs),
    ),
    ageColumn,
    wide('IP', 'The address of the pod.', o => o.status?.podIPs?.[0]?.ip ?? (o.status?.podIP || '<none>')),
    wide('Node', 'The node it was given to.', o => o.spec?.nodeName || '<none>'),
    wide('Nominated Node', 'The node that is being cleared for it.', o => o.status?.nominatedNodeName || '<none>'),
    wide('Readiness Gates', 'Conditions that must hold besides its containers being ready.', readinessGates),
  ],
});
