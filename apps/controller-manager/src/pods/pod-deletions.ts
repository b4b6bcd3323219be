import type { Pod } from '@naru/api';
import type { Informer } from '@naru/client';

/**
 * The pods that a controller has deleted and that its informer does not show as deleted yet, so that none is chosen again.
 * The answer to a deletion says nothing that an informer could observe. With the informer's own writes this does what
 * upstream's expectations do, but by uid: there is nothing to wait for.
 */
export class PodDeletions {
  private readonly deleted = new Set<string>();

  constructor(informer: Informer<Pod>) {
    informer.addHandler({
      onUpdate: pod => {
        if (pod.metadata.deletionTimestamp) this.deleted.delete(pod.metadata.uid);
      },
      onDelete: pod => void this.deleted.delete(pod.metadata.uid),
    });
  }

  /** Before the deletion: its event must not overtake the note. */
  note(uid: string): void {
    this.deleted.add(uid);
  }

  /** The deletion failed, or the pod was gone. */
  forget(uid: string): void {
    this.deleted.delete(uid);
  }

  has(uid: string): boolean {
    return this.deleted.has(uid);
  }
}
