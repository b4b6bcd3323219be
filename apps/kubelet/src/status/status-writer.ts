import { pods, type Pod, type PodStatus, type Stored } from '@naru/api';
import type { ObjectsClient } from '@naru/client';
import { isReason, type Clock, type Logger } from '@naru/foundation';
import { equalJson } from './equal-json';

export interface StatusWriterDeps {
  client: ObjectsClient;
  clock: Clock;
  logger: Logger;
  /** How long a change may wait for another that makes it obsolete. */
  debounceMs?: number;
  /** The pod does not exist (any more) under this uid. */
  onGone?: (uid: string) => void;
}

interface Entry {
  /** The newest version seen, from the informer or from our own writes. */
  pod: Stored<Pod>;
  /** What the status shall be; a function of the newest version, so that a conflict is solved by asking again. */
  compute: ((pod: Stored<Pod>) => PodStatus) | undefined;
  cancelTimer: (() => void) | undefined;
  writing: Promise<void> | undefined;
  failures: number;
}

const maxRetryMs = 10_000;

/** Fields that differ; a field that is to vanish is null, as a merge patch wants it. */
export function statusPatch(old: PodStatus, wanted: PodStatus): Record<string, unknown> | undefined {
  const patch: Record<string, unknown> = {};
  const before = old as Record<string, unknown>;
  const after = JSON.parse(JSON.stringify(wanted)) as Record<string, unknown>;
  for (const key of Object.keys(after)) if (!equalJson(before[key], after[key])) patch[key] = after[key];
  for (const key of ownedKeys) if (key in before && !(key in after)) patch[key] = null;
  return Object.keys(patch).length > 0 ? patch : undefined;
}

/** What the kubelet may take out of a status; nominatedNodeName, say, belongs to others. */
const ownedKeys = [
  'reason',
  'message',
  'podIP',
  'podIPs',
  'hostIP',
  'hostIPs',
  'initContainerStatuses',
  'ephemeralContainerStatuses',
];

function conditionOf(status: PodStatus, type: string): string | undefined {
  return status.conditions?.find(condition => condition.type === type)?.status;
}

function containerSketch(status: PodStatus): string {
  const all = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
  return all
    .map(({ name, state }) => `${name}:${state?.terminated ? 'ended' : (state?.waiting?.reason ?? 'running')}`)
    .join();
}

const startingReasons = /:(ContainerCreating|PodInitializing)/;

/** Somebody waits for this: Ready, an end, an error. What is on its way there can wait a moment. */
export function isUrgent(old: PodStatus, wanted: PodStatus): boolean {
  if (conditionOf(old, 'Ready') !== conditionOf(wanted, 'Ready') && conditionOf(wanted, 'Ready') === 'True')
    return true;
  if (conditionOf(old, 'Ready') === 'True' && conditionOf(wanted, 'Ready') !== 'True') return true;
  if (wanted.phase === 'Succeeded' || wanted.phase === 'Failed') return old.phase !== wanted.phase;
  const sketch = containerSketch(wanted);
  return sketch !== containerSketch(old) && !startingReasons.test(sketch);
}

/**
 * Writes pod statuses: one write at a time a pod, the newest wins, urgent ones at once and the others a moment later.
 * A write is conditional on the version it was computed from; on a conflict it is computed again.
 */
export class StatusWriter {
  private readonly entries = new Map<string, Entry>();

  constructor(private readonly deps: StatusWriterDeps) {}

  /** The newest known version of a pod: what the informer says may be older than our own last write. */
  newest(pod: Stored<Pod>): Stored<Pod> {
    const entry = this.entries.get(pod.metadata.uid);
    if (!entry) return pod;
    if (Number(pod.metadata.resourceVersion) > Number(entry.pod.metadata.resourceVersion)) entry.pod = pod;
    return entry.pod;
  }

  set(pod: Stored<Pod>, compute: (pod: Stored<Pod>) => PodStatus): PodStatus {
    const { uid } = pod.metadata;
    let entry = this.entries.get(uid);
    if (!entry) {
      entry = { pod, compute: undefined, cancelTimer: undefined, writing: undefined, failures: 0 };
      this.entries.set(uid, entry);
    }
    const newest = this.newest(pod);
    const status = compute(newest);
    entry.compute = compute;
    if (isUrgent(newest.status ?? {}, status)) this.schedule(uid, entry, 0);
    else if (statusPatch(newest.status ?? {}, status)) this.schedule(uid, entry, this.deps.debounceMs ?? 300);
    return status;
  }

  /** Resolves when all that was set for a pod has been written, or could not be. */
  async flush(uid: string): Promise<void> {
    const entry = this.entries.get(uid);
    if (!entry) return;
    await entry.writing;
    if (entry.compute) await this.write(uid, entry);
  }

  forget(uid: string): void {
    this.entries.get(uid)?.cancelTimer?.();
    this.entries.delete(uid);
  }

  async flushAll(): Promise<void> {
    await Promise.allSettled([...this.entries.keys()].map(uid => this.flush(uid)));
  }

  private schedule(uid: string, entry: Entry, delayMs: number): void {
    if (delayMs > 0 && entry.cancelTimer) return;
    entry.cancelTimer?.();
    entry.cancelTimer = undefined;
    if (delayMs > 0) entry.cancelTimer = this.deps.clock.after(delayMs, () => this.begin(uid, entry));
    else this.begin(uid, entry);
  }

  private begin(uid: string, entry: Entry): void {
    entry.cancelTimer?.();
    entry.cancelTimer = undefined;
    if (entry.writing) return;
    void this.write(uid, entry);
  }

  private write(uid: string, entry: Entry): Promise<void> {
    entry.writing ??= this.writeAll(uid, entry).finally(() => {
      entry.writing = undefined;
      if (entry.failures === 0 && entry.compute && this.entries.get(uid) === entry) this.schedule(uid, entry, 1);
    });
    return entry.writing;
  }

  private async writeAll(uid: string, entry: Entry): Promise<void> {
    const { client, logger } = this.deps;
    const { compute } = entry;
    if (!compute) return;
    const { namespace, name } = entry.pod.metadata;
    const patch = statusPatch(entry.pod.status ?? {}, compute(entry.pod));
    entry.compute = undefined;
    if (!patch) return;
    try {
      const body = { metadata: { uid, resourceVersion: entry.pod.metadata.resourceVersion }, status: patch };
      entry.pod = await client.patch(pods, { namespace, name }, { type: 'merge', body }, { subresource: 'status' });
      entry.failures = 0;
    } catch (err) {
      entry.compute ??= compute;
      if (isReason(err, 'NotFound')) return this.gone(uid, entry);
      if (isReason(err, 'Conflict')) return this.reread(uid, entry);
      entry.failures++;
      const delayMs = Math.min(maxRetryMs, 100 * 2 ** entry.failures);
      logger.warn({ err, namespace, name, uid, delayMs }, 'pod status not written');
      if (this.entries.get(uid) === entry) this.schedule(uid, entry, delayMs);
    }
  }

  private async reread(uid: string, entry: Entry): Promise<void> {
    const { namespace, name } = entry.pod.metadata;
    try {
      const fresh = await this.deps.client.get(pods, { namespace, name });
      if (fresh.metadata.uid !== uid) return this.gone(uid, entry);
      entry.pod = fresh;
      entry.failures = 0;
    } catch (err) {
      if (isReason(err, 'NotFound')) return this.gone(uid, entry);
      entry.failures++;
      this.schedule(uid, entry, 100 * 2 ** Math.min(entry.failures, 6));
    }
  }

  private gone(uid: string, entry: Entry): void {
    entry.compute = undefined;
    this.deps.onGone?.(uid);
  }
}
