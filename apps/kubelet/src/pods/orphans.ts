import fs from 'node:fs/promises';
import type { Pod, Stored } from '@naru/api';
import type { Logger } from '@naru/foundation';
import type { PodCgroups } from '../cgroups/pod-cgroups';
import type { PodVolumes } from '../volumes/pod-volumes';
import type { PodPaths } from './pod-paths';
import type { PodWorkers } from './pod-workers';

export interface OrphanCleanerDeps {
  workers: PodWorkers;
  paths: PodPaths;
  volumes: PodVolumes;
  cgroups: PodCgroups;
  logger: Logger;
  isKnown: (uid: string) => boolean;
  /** Nothing of the pod is left. */
  released: (uid: string) => void;
}

/** What a pod that only its containers' labels tell of looks like. */
function shadow(uid: string, namespace: string, name: string): Stored<Pod> {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { uid, namespace, name, resourceVersion: '0' },
    spec: { containers: [] },
  };
}

/** After a start: ends and removes what belongs to pods that went away while no kubelet was looking. */
export class OrphanCleaner {
  constructor(private readonly deps: OrphanCleanerDeps) {}

  /** `inRuntime`: the pods that the runtime knew at the start. Call it when all pods of the api-server are known. */
  async clean(inRuntime: ReadonlyMap<string, { namespace: string; name: string }>): Promise<void> {
    const { workers, logger, isKnown } = this.deps;
    for (const [uid, { namespace, name }] of inRuntime) {
      if (workers.get(uid) || isKnown(uid)) continue;
      logger.info({ uid, namespace, name }, 'orphaned pod found');
      workers.removeOrphan(shadow(uid, namespace, name));
    }
    await this.cleanFiles();
  }

  private async cleanFiles(): Promise<void> {
    const { workers, paths, volumes, cgroups, logger, isKnown } = this.deps;
    const listed = await Promise.all([paths.pods, paths.memoryDir].map(each => fs.readdir(each).catch(() => [])));
    for (const uid of new Set(listed.flat())) {
      if (workers.get(uid) || isKnown(uid)) continue;
      try {
        await volumes.tearDown(uid);
        await cgroups.remove(uid);
        this.deps.released(uid);
      } catch (err) {
        logger.warn({ err, uid }, 'orphaned files not removed');
      }
    }
    for (const folder of await fs.readdir(paths.logsDir).catch(() => [])) {
      const uid = folder.slice(folder.lastIndexOf('_') + 1);
      if (!workers.get(uid) && !isKnown(uid))
        await fs.rm(`${paths.logsDir}/${folder}`, { recursive: true, force: true });
    }
  }
}
