import { pods, type Pod, type Stored } from '@naru/api';
import type { Informer, ObjectsClient } from '@naru/client';
import { isReason, type Clock } from '@naru/foundation';

/** After this long an own write that the informer has not shown is asked about. */
const doubtAfterMs = 10_000;

interface Recent {
  pod: Stored<Pod>;
  at: number;
}

/**
 * What a controller has written and its informer has not shown yet, so that it never counts too few pods and creates
 * another, nor chooses a pod again that it has deleted. Does what upstream's expectations do, but by uid: there is
 * nothing to wait for, and a lost event is repaired by asking for that one pod.
 */
export class RecentPods {
  /** Owner uid → pod uid → the pod. */
  private readonly created = new Map<string, Map<string, Recent>>();
  private readonly deleted = new Map<string, number>();

  constructor(private readonly deps: { client: ObjectsClient; clock: Clock; informer: Informer<Pod> }) {
    deps.informer.addHandler({
      onUpdate: pod => {
        if (pod.metadata.deletionTimestamp) this.deleted.delete(pod.metadata.uid);
      },
      onDelete: pod => {
        this.deleted.delete(pod.metadata.uid);
        for (const recent of this.created.values()) recent.delete(pod.metadata.uid);
      },
    });
  }

  noteCreated(ownerUid: string, pod: Stored<Pod>): void {
    const recent = this.created.get(ownerUid) ?? new Map<string, Recent>();
    recent.set(pod.metadata.uid, { pod, at: this.deps.clock.now() });
    this.created.set(ownerUid, recent);
  }

  noteDeleted(uid: string): void {
    this.deleted.set(uid, this.deps.clock.now());
  }

  forgetOwner(ownerUid: string): void {
    this.created.delete(ownerUid);
  }

  /** Was it deleted by us a short while ago? */
  isDeleted(uid: string): boolean {
    const at = this.deleted.get(uid);
    if (at === undefined) return false;
    if (this.deps.clock.now() - at < doubtAfterMs) return true;
    this.deleted.delete(uid);
    return false;
  }

  /** The listed pods of an owner and those that it has created since. */
  async complete(ownerUid: string, listed: readonly Stored<Pod>[]): Promise<Stored<Pod>[]> {
    const recent = this.created.get(ownerUid);
    if (!recent) return [...listed];
    for (const { metadata } of listed) recent.delete(metadata.uid);
    for (const [uid, entry] of recent) {
      if (this.deps.clock.now() - entry.at < doubtAfterMs) continue;
      const current = await this.ask(entry.pod);
      if (current) recent.set(uid, { pod: current, at: this.deps.clock.now() });
      else recent.delete(uid);
    }
    if (recent.size === 0) this.created.delete(ownerUid);
    return [...listed, ...[...recent.values()].map(entry => entry.pod)];
  }

  private async ask({ metadata }: Stored<Pod>): Promise<Stored<Pod> | undefined> {
    try {
      const current = await this.deps.client.get(pods, { namespace: metadata.namespace, name: metadata.name });
      return current.metadata.uid === metadata.uid ? current : undefined;
    } catch (error) {
      if (isReason(error, 'NotFound')) return undefined;
      throw error;
    }
  }
}
