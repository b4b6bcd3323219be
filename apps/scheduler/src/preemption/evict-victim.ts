import { pods, type Pod, type Stored } from '@naru/api';
import type { ObjectsClient } from '@naru/client';
import { formatTime, isReason } from '@naru/foundation';

/** Deletes a pod for a more important one, and notes in its status why. */
export async function evictVictim(client: ObjectsClient, victim: Stored<Pod>, now: number): Promise<void> {
  const { namespace, name, uid } = victim.metadata;
  const condition = {
    type: 'DisruptionTarget',
    status: 'True',
    reason: 'PreemptionByScheduler',
    message: `${victim.spec?.schedulerName ?? 'default-scheduler'}: preempting to accommodate a higher priority pod`,
    lastTransitionTime: formatTime(now),
  };
  try {
    const body = { metadata: { uid }, status: { conditions: [condition] } };
    await client.patch(pods, { namespace, name }, { type: 'strategic', body }, { subresource: 'status' });
    await client.delete(pods, { namespace, name }, { preconditions: { uid } });
  } catch (error) {
    // Gone already, or another pod of that name.
    if (!isReason(error, 'NotFound', 'Conflict')) throw error;
  }
}
