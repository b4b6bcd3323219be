import fs from 'node:fs/promises';
import { isMountPoint, mountFilesystem, unmountBelow } from './mount';
import type { VolumePlugin } from './plugin';

/** A directory of an NFS server, by the node's own mount.nfs. */
export const nfs: VolumePlugin = {
  name: 'nfs',
  supports: ({ volume }) => volume.nfs !== undefined,
  inMemory: false,
  refreshes: false,
  async setUp({ volume, claimed, directory }) {
    if (isMountPoint(directory)) return directory;
    const { server = '', path = '', readOnly = false } = volume.nfs ?? {};
    await fs.mkdir(directory, { recursive: true, mode: 0o750 });
    const host = server.includes(':') && !server.startsWith('[') ? `[${server}]` : server;
    const options = [
      ...(readOnly || claimed?.readOnly ? ['ro'] : []),
      ...(claimed?.persistentVolume.spec?.mountOptions ?? []),
    ];
    await mountFilesystem('nfs', `${host}:${path}`, directory, options);
    return directory;
  },
  tearDown: unmountBelow,
};
