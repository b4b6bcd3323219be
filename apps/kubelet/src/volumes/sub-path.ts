import { constants } from 'node:fs';
import fs from 'node:fs/promises';
import path from 'node:path';
import { bindMount, isMountPoint, unmountBelow } from './mount';
import { isWithin, openBelow, placeOf } from './open-below';

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;

/**
 * Bind-mounts one place of a volume at `target`, creating a missing directory in the volume first.
 * Throws when the sub path leads out of the volume.
 */
export async function mountSubPath(volumePath: string, subPath: string, target: string): Promise<void> {
  if (path.isAbsolute(subPath) || subPath.split('/').includes('..')) {
    throw new Error(`subPath "${subPath}" must be a relative path and must not contain '..'`);
  }
  const base = await fs.realpath(volumePath);
  const handle = await openSubPath(base, subPath);
  try {
    const source = placeOf(handle);
    const stats = await fs.stat(source);
    if (isMountPoint(target)) {
      const { dev, ino } = await fs.stat(target);
      if (dev === stats.dev && ino === stats.ino) return;
      // From before a restart: the volume has something else there by now, as a config map that was changed.
      await unmountBelow(target);
      const below = await fs.lstat(target);
      await (below.isDirectory() ? fs.rmdir(target) : fs.unlink(target));
    }
    await fs.mkdir(path.dirname(target), { recursive: true, mode: 0o750 });
    if (stats.isDirectory()) await fs.mkdir(target, { recursive: true });
    else await (await fs.open(target, 'a')).close();
    await bindMount(source, target);
  } finally {
    await handle.close();
  }
}

/**
 * Opens a sub path whatever a container does to the volume meanwhile. Links in it are followed as far as it exists, when they stay in the
 * volume; what is missing of it is made, where no link can lead it elsewhere. Source: subpath_linux.go, doSafeMakeDir.
 */
async function openSubPath(base: string, subPath: string): Promise<fs.FileHandle> {
  const missing = subPath.split('/').filter(Boolean);
  let existing = base;
  for (let next: string | undefined; missing.length > 0; missing.shift()) {
    next = await fs.realpath(path.join(existing, missing[0] ?? '')).catch(() => undefined);
    if (next === undefined) break;
    if (!isWithin(base, next)) throw new Error(`subpath "${subPath}" leads out of volume path "${base}"`);
    existing = next;
  }
  let handle = await openBelow(base, existing);
  for (const part of missing) {
    const parent = handle;
    handle = await makeDirectory(parent, part).finally(() => parent.close());
  }
  return handle;
}

/** One that a container has made in the meantime will do, a link will not. */
async function makeDirectory(parent: fs.FileHandle, name: string): Promise<fs.FileHandle> {
  const place = `${placeOf(parent)}/${name}`;
  const isNew = await fs.mkdir(place, { mode: 0o750 }).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
      return false;
    },
  );
  const handle = await fs.open(place, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (isNew) await handle.chmod(0o777 & ~process.umask());
  return handle;
}
