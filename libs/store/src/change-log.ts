import type { Change, WatchListener } from './driver';
import { forgotten } from './forgotten';

interface Watch {
  prefix: string;
  listener: WatchListener;
}

export interface ChangeLogLimits {
  changes: number;
  bytes: number;
}

/** Enough for a watcher to reconnect; one that was away for longer lists again. */
export const defaultLogLimits: ChangeLogLimits = { changes: 4096, bytes: 16 * 1024 * 1024 };

/** The latest changes in memory, bounded in number and bytes, and those who follow them. */
export class ChangeLog {
  private readonly changes: Change[] = [];
  private bytes = 0;
  private readonly watches = new Set<Watch>();

  /** `compacted` is the newest revision that the log does not hold. */
  constructor(
    private compacted: number,
    private readonly limits: ChangeLogLimits = defaultLogLimits,
  ) {}

  /** Takes the changes of one or more whole transactions, in order, and tells the watchers. */
  append(changes: readonly Change[]): void {
    if (changes.length === 0) return;
    for (const change of changes) {
      this.changes.push(change);
      this.bytes += change.value.length;
    }
    this.trim();
    for (const watch of this.watches) {
      const wanted = watch.prefix === '' ? changes : changes.filter(change => change.key.startsWith(watch.prefix));
      if (wanted.length > 0) watch.listener.onChanges(wanted);
    }
  }

  watch(prefix: string, revision: number, listener: WatchListener): () => void {
    if (revision < this.compacted) throw forgotten(revision, this.compacted);
    const missed = this.changes.filter(change => change.revision > revision && change.key.startsWith(prefix));
    if (missed.length > 0) listener.onChanges(missed);
    const watch = { prefix, listener };
    this.watches.add(watch);
    return () => void this.watches.delete(watch);
  }

  compact(revision: number): void {
    const at = this.changes.findIndex(change => change.revision > revision);
    this.drop(at === -1 ? this.changes.length : at);
    this.compacted = Math.max(this.compacted, revision);
  }

  /** Ends every watch with `error`. */
  close(error: Error): void {
    for (const { listener } of this.watches) listener.onError(error);
    this.watches.clear();
  }

  private trim(): void {
    if (this.changes.length <= this.limits.changes && this.bytes <= this.limits.bytes) return;
    // A quarter at once, so that the cost of moving the array is spread over many changes.
    let count = Math.ceil(this.changes.length / 4);
    let left = this.bytes - this.changes.slice(0, count).reduce((sum, change) => sum + change.value.length, 0);
    while (left > this.limits.bytes && count < this.changes.length) left -= this.changes[count++]?.value.length ?? 0;
    const last = this.changes[count - 1]?.revision ?? 0;
    // Changes of one transaction go together.
    while (this.changes[count]?.revision === last) count++;
    this.drop(count);
    this.compacted = Math.max(this.compacted, last);
  }

  private drop(count: number): void {
    for (const change of this.changes.splice(0, count)) this.bytes -= change.value.length;
  }
}
