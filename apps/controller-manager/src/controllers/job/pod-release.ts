import { pods, type Pod, type Stored } from '@naru/api';
import { isReason } from '@naru/foundation';
import type { ControllerDeps } from '../../framework/controller';
import { isTracked, trackingFinalizer } from './job-pod';

/** Takes the finalizer off pods that have been accounted for, and remembers it until the informer shows it. */
export class PodRelease {
  private readonly released = new Set<string>();

  constructor(private readonly deps: Pick<ControllerDeps, 'client' | 'informers'>) {
    deps.informers.get(pods).addHandler({
      onUpdate: pod => {
        if (!isTracked(pod)) this.released.delete(pod.metadata.uid);
      },
      onDelete: pod => void this.released.delete(pod.metadata.uid),
    });
  }

  isReleased(uid: string): boolean {
    return this.released.has(uid);
  }

  async all(tracked: readonly Stored<Pod>[]): Promise<undefined> {
    const results = await Promise.allSettled(tracked.map(pod => this.one(pod)));
    const failed = results.find(result => result.status === 'rejected');
    if (failed) throw failed.reason;
    return undefined;
  }

  async one(pod: Stored<Pod>): Promise<void> {
    const { namespace, name, uid } = pod.metadata;
    if (!isTracked(pod) || this.released.has(uid)) return;
    // Noted first: the event must not overtake the note.
    this.released.add(uid);
    const metadata = { uid, '$deleteFromPrimitiveList/finalizers': [trackingFinalizer] };
    try {
      await this.deps.client.patch(pods, { namespace, name }, { type: 'strategic', body: { metadata } });
    } catch (error) {
      this.released.delete(uid);
      if (!isReason(error, 'NotFound', 'Conflict')) throw error;
    }
  }
}
