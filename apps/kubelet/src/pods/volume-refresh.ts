import type { Pod, Stored } from '@naru/api';
import { equalJson } from '../status/equal-json';
import { VolumeError } from '../volumes/pod-volumes';
import type { PodWorkerDeps } from './pod-worker-deps';

type Deps = Pick<PodWorkerDeps, 'clock' | 'events' | 'facts' | 'logger' | 'refreshMs' | 'volumes'>;

/** Pods of a node refresh at the same time, so that what several of them show is fetched once; each node at a time of its own. */
const beginMs = performance.timeOrigin;

/** Has the volumes of a pod brought up to date: from time to time, and when the pod itself has changed. */
export class VolumeRefresh {
  private refreshedAt: number;

  constructor(private readonly deps: Deps) {
    this.refreshedAt = deps.clock.now();
  }

  /** What a pod's volumes show may be its own labels; its status, which we write ourselves, does not count. */
  noteChange(next: Stored<Pod>, { metadata, spec }: Stored<Pod>): void {
    const { labels, annotations } = next.metadata;
    const same = equalJson([labels, annotations, next.spec], [metadata.labels, metadata.annotations, spec]);
    if (!same) this.refreshedAt = -Infinity;
  }

  /** Answers in how many ms it is due again; never rejects. */
  async run(pod: Stored<Pod>, podIps: readonly string[]): Promise<number | undefined> {
    const { clock, refreshMs, facts, logger, volumes } = this.deps;
    if (!volumes.needsRefresh(pod)) return undefined;
    const now = clock.now();
    const sinceBeat = (now - beginMs) % refreshMs;
    if (this.refreshedAt >= now - sinceBeat) return refreshMs - sinceBeat;
    this.refreshedAt = now;
    try {
      await volumes.refresh(pod, facts(podIps));
    } catch (err) {
      // The files stay as they are; a running pod is not hurt by a ConfigMap that is away.
      logger.info({ err, uid: pod.metadata.uid }, 'volume refresh failed');
      if (err instanceof VolumeError) reportVolumes(pod, err, this.deps.events);
    }
    return refreshMs - sinceBeat;
  }
}

export function reportVolumes(pod: Pod, { messages }: VolumeError, events: PodWorkerDeps['events']): void {
  for (const message of messages) events.pod(pod, 'Warning', 'FailedMount', message);
}
