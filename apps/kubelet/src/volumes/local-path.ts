import fs from 'node:fs/promises';
import path from 'node:path';
import { volumeAnnotations } from '@naru/api';
import { applyFsGroup } from './fs-group';
import type { VolumePlugin } from './plugin';

const provisioner = 'naru.dev/local-path';

/**
 * A directory that the cluster's own provisioner has promised. It is made here when it is first used, and open to whatever
 * user a pod runs as: only pods with the claim see it.
 */
export const localPath: VolumePlugin = {
  name: 'local-path',
  supports: ({ volume, claimed }) =>
    volume.hostPath !== undefined &&
    claimed?.persistentVolume.metadata?.annotations?.[volumeAnnotations.provisionedBy] === provisioner,
  inMemory: false,
  refreshes: false,
  async setUp({ volume, claimed, pod }) {
    const { path: target = '' } = volume.hostPath ?? {};
    if (!path.isAbsolute(target)) throw new Error(`local volume "${target}" must be absolute`);
    const isNew = await fs.mkdir(target, { recursive: true });
    // Not by mkdir: the process's umask would take its share.
    if (isNew !== undefined) await fs.chmod(target, 0o777);
    if (!claimed?.readOnly) await applyFsGroup(target, pod);
    return target;
  },
  tearDown: async () => undefined,
};
