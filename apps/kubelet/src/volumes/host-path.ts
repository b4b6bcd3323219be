import fs from 'node:fs/promises';
import path from 'node:path';
import type { Stats } from 'node:fs';
import type { VolumePlugin } from './plugin';

type Check = (stats: Stats) => boolean;

const checks: Record<string, { what: string; check: Check; create?: (target: string) => Promise<void> }> = {
  Directory: { what: 'directory', check: stats => stats.isDirectory() },
  DirectoryOrCreate: {
    what: 'directory',
    check: stats => stats.isDirectory(),
    create: async target => void (await fs.mkdir(target, { recursive: true, mode: 0o755 })),
  },
  File: { what: 'file', check: stats => stats.isFile() },
  FileOrCreate: {
    what: 'file',
    check: stats => stats.isFile(),
    create: async target => (await fs.open(target, 'a', 0o644)).close(),
  },
  Socket: { what: 'socket', check: stats => stats.isSocket() },
  CharDevice: { what: 'character device', check: stats => stats.isCharacterDevice() },
  BlockDevice: { what: 'block device', check: stats => stats.isBlockDevice() },
};

/** A path of the node as it is; nothing is done to it when the pod ends. */
export const hostPath: VolumePlugin = {
  name: 'host-path',
  supports: ({ volume }) => volume.hostPath !== undefined,
  inMemory: false,
  refreshes: false,
  async setUp({ volume }) {
    const { path: target = '', type = '' } = volume.hostPath ?? {};
    if (!path.isAbsolute(target)) throw new Error(`hostPath "${target}" must be absolute`);
    if (type === '') {
      // Nothing is checked; as container engines do, a missing directory is made.
      await fs.mkdir(target, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
      });
      return target;
    }
    const rule = checks[type];
    if (!rule) throw new Error(`unknown hostPath type "${type}"`);
    let stats = await fs.stat(target).catch(() => undefined);
    if (!stats && rule.create) {
      await rule.create(target);
      stats = await fs.stat(target);
    }
    if (!stats || !rule.check(stats)) throw new Error(`hostPath type check failed: ${target} is not a ${rule.what}`);
    return target;
  },
  tearDown: async () => undefined,
};
