import fs from 'node:fs/promises';
import { applyFsGroup } from './fs-group';
import { bindMount, isMountPoint, unmountBelow } from './mount';
import { isBlock, type VolumePlugin } from './plugin';

/** A directory or device of this very node, as a persistent volume. */
export const local: VolumePlugin = {
  name: 'local-volume',
  supports: ({ claimed }) => claimed?.persistentVolume.spec?.local !== undefined,
  inMemory: false,
  refreshes: false,
  async setUp(context) {
    const { claimed, directory, pod } = context;
    const source = claimed?.persistentVolume.spec?.local?.path ?? '';
    const stats = await fs.stat(source).catch(() => undefined);
    if (!stats) throw new Error(`path "${source}" does not exist`);
    if (isBlock(context)) {
      if (!stats.isBlockDevice()) throw new Error(`path "${source}" is not a block device`);
      return source;
    }
    if (!stats.isDirectory()) throw new Error(`path "${source}" is not a directory`);
    if (isMountPoint(directory)) return directory;
    await fs.mkdir(directory, { recursive: true, mode: 0o750 });
    const options = [...(claimed?.readOnly ? ['ro'] : []), ...(claimed?.persistentVolume.spec?.mountOptions ?? [])];
    await bindMount(source, directory, options);
    if (!claimed?.readOnly) await applyFsGroup(directory, pod);
    return directory;
  },
  tearDown: unmountBelow,
};
