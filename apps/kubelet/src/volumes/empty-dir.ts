import { quantityValue } from '@naru/api';
import { makeVolumeDirectory } from './directory';
import { mountsBelow, mountTmpfs, unmountBelow } from './mount';
import { fsGroupOf, type VolumePlugin } from './plugin';

/** Scratch space that lives as long as the pod; `medium: Memory` is a tmpfs of its own. */
export const emptyDir: VolumePlugin = {
  name: 'empty-dir',
  supports: volume => volume.emptyDir !== undefined,
  inMemory: false,
  refreshes: false,
  async setUp({ directory, volume, pod }) {
    const { medium = '', sizeLimit } = volume.emptyDir ?? {};
    if (medium !== '' && medium !== 'Memory') throw new Error(`unsupported storage medium "${medium}"`);
    const gid = fsGroupOf(pod);
    await makeVolumeDirectory(directory, gid, 0o777);
    if (medium === 'Memory' && !(await mountsBelow(directory)).includes(directory)) {
      await mountTmpfs(directory, sizeLimit ? quantityValue(sizeLimit) : 0, gid === undefined ? '0777' : '2777');
      if (gid !== undefined) await (await import('node:fs/promises')).chown(directory, 0, gid);
    }
    return directory;
  },
  tearDown: unmountBelow,
};
