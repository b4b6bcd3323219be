import { jobs, pods, type KubeObject, type Pod, type Stored } from '@naru/api';
import { objectKey, parseKey } from '@naru/client';
import { isReason } from '@naru/foundation';
import type { ControllerDeps } from '../../framework/controller';
import { controllerOf } from '../../framework/owner';
import { isTracked } from './job-pod';
import type { PodRelease } from './pod-release';

const prefix = 'pod:';

/** In the queue of jobs, the key of a pod that has the finalizer and no job. */
export function orphanKey(pod: Stored<KubeObject>): string {
  return prefix + objectKey(pod);
}

export function orphanOf(key: string): string | undefined {
  return key.startsWith(prefix) ? key.slice(prefix.length) : undefined;
}

/** Releases pods whose job is gone; nobody else would. */
export class OrphanedPods {
  constructor(
    private readonly deps: Pick<ControllerDeps, 'client' | 'informers'>,
    private readonly podRelease: PodRelease,
  ) {}

  async release(key: string): Promise<undefined> {
    const pod = this.deps.informers.lister(pods).get(parseKey(key));
    if (!pod || !isTracked(pod) || (await this.hasJob(pod))) return;
    await this.podRelease.one(pod);
  }

  private async hasJob(pod: Stored<Pod>): Promise<boolean> {
    const reference = controllerOf(pod);
    if (!reference) return false;
    if (reference.kind !== 'Job') return true;
    const key = { namespace: pod.metadata.namespace, name: reference.name };
    if (this.deps.informers.lister(jobs).get(key)?.metadata.uid === reference.uid) return true;
    try {
      // The local copy may be behind.
      return (await this.deps.client.get(jobs, key)).metadata.uid === reference.uid;
    } catch (error) {
      if (isReason(error, 'NotFound')) return false;
      throw error;
    }
  }
}
