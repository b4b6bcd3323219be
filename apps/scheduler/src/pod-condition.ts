import { pods, type Pod, type Stored } from '@naru/api';
import type { ObjectsClient } from '@naru/client';
import { formatTime } from '@naru/foundation';

export interface Refusal {
  /** Unschedulable or SchedulingGated. */
  reason: string;
  message: string;
  /** The node that is being cleared for the pod; "": none any more; undefined: as it was. */
  nominatedNode?: string | undefined;
  /** Milliseconds since the epoch. */
  now: number;
}

/** Writes PodScheduled=False, unless the pod says so already: an unschedulable pod costs no write each time it is tried. */
export async function patchScheduledCondition(
  client: ObjectsClient,
  pod: Stored<Pod>,
  refusal: Refusal,
): Promise<void> {
  const { reason, message, now, nominatedNode } = refusal;
  const presentNode = pod.status?.nominatedNodeName ?? '';
  const renominated = nominatedNode !== undefined && nominatedNode !== presentNode;
  const known = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
  const { namespace, name, uid, generation } = pod.metadata;
  const said = known?.status === 'False' && known.reason === reason && known.message === message;
  if (!renominated && said && known.observedGeneration === generation) return;
  const condition = {
    type: 'PodScheduled',
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    status: 'False',
    reason,
    message,
    lastProbeTime: null,
    lastTransitionTime: known?.status === 'False' ? known.lastTransitionTime : formatTime(now),
  };
  const nomination = renominated ? { nominatedNodeName: nominatedNode || null } : {};
  await client.patch(
    pods,
    { namespace, name },
    { type: 'strategic', body: { metadata: { uid }, status: { conditions: [condition], ...nomination } } },
    { subresource: 'status' },
  );
}
