import type { KubeObject, Stored } from '@naru/api';

/**
 * The newest known version of objects that a controller writes itself: its own last write, until the informer shows that or
 * a later one. For controllers that must not decide upon an older state than they have written.
 */
export class RecentObjects<T extends KubeObject> {
  private readonly written = new Map<string, Stored<T>>();

  note(object: Stored<T>): void {
    this.written.set(object.metadata.uid, object);
  }

  forget(uid: string): void {
    this.written.delete(uid);
  }

  newest(listed: Stored<T>): Stored<T> {
    const { uid, resourceVersion } = listed.metadata;
    const own = this.written.get(uid);
    if (!own) return listed;
    if (BigInt(own.metadata.resourceVersion) > BigInt(resourceVersion)) return own;
    this.written.delete(uid);
    return listed;
  }
}
