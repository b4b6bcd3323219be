import { pods, type Pod, type Stored } from '@naru/api';
import type { ObjectsClient } from '@naru/client';
import { formatTime } from '@naru/foundation';

export interface Refusal {
  /** Unschedulable or SchedulingGated. */
  reason: string;
  message: string;
  /** Milliseconds since the epoch. */
  now: number;
}

/** Writes PodScheduled=False, unless the pod says so already: an unschedulable pod costs no write each time it is tried. */
export async function patchScheduledCondition(
  client: ObjectsClient,
  pod: Stored<Pod>,
  refusal: Refusal,
): Promise<void> {
  const { reason, message, now } = refusal;
  const known = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
  if (known?.status === 'False' && known.reason === reason && known.message === message) return;
  const { namespace, name, uid } = pod.metadata;
  const condition = {
    type: 'PodScheduled',
    status: 'False',
    reason,
    message,
    lastProbeTime: null,
    lastTransitionTime: known?.status === 'False' ? known.lastTransitionTime : formatTime(now),
  };
  await client.patch(
    pods,
    { namespace, name },
    { type: 'strategic', body: { metadata: { uid }, status: { conditions: [condition] } } },
    { subresource: 'status' },
  );
}
