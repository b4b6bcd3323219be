import { constants } from 'node:fs';
import fs from 'node:fs/promises';
import path from 'node:path';
import { bindMount, mountsBelow } from './mount';

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;
/** Linux's O_PATH, which Node does not name: a handle on the place, without reading. */
const O_PATH = 0o10000000;

function isWithin(base: string, target: string): boolean {
  return target === base || target.startsWith(`${base}/`);
}

/**
 * Opens `target` below `base` one name at a time without following links, so that a container that swaps a directory
 * for a link meanwhile leads nowhere. Both must be free of links as they were looked up.
 */
async function openBelow(base: string, target: string): Promise<fs.FileHandle> {
  let handle = await fs.open(base, O_RDONLY | O_DIRECTORY);
  const parts = path.relative(base, target).split('/').filter(Boolean);
  for (const part of parts) {
    const next = await fs.open(`/proc/self/fd/${handle.fd}/${part}`, O_PATH | O_NOFOLLOW).catch(async error => {
      await handle.close();
      throw error;
    });
    await handle.close();
    handle = next;
    if ((await handle.stat()).isSymbolicLink()) {
      await handle.close();
      throw new Error(`${part} has become a symbolic link`);
    }
  }
  return handle;
}

/**
 * Bind-mounts one place of a volume at `target`, creating a missing directory in the volume first.
 * Throws when the sub path leads out of the volume.
 */
export async function mountSubPath(volumePath: string, subPath: string, target: string): Promise<void> {
  if (path.isAbsolute(subPath) || subPath.split('/').includes('..')) {
    throw new Error(`subPath "${subPath}" must be a relative path and must not contain '..'`);
  }
  if ((await mountsBelow(target)).includes(target)) return;
  const base = await fs.realpath(volumePath);
  const wanted = path.join(base, subPath);
  let resolved = await fs.realpath(wanted).catch(() => undefined);
  if (resolved === undefined) {
    resolved = await makeDirectories(base, subPath);
  }
  if (!isWithin(base, resolved)) throw new Error(`subpath "${subPath}" leads out of volume path "${volumePath}"`);
  const handle = await openBelow(base, resolved);
  try {
    const source = `/proc/${process.pid}/fd/${handle.fd}`;
    const stats = await fs.stat(source);
    await fs.mkdir(path.dirname(target), { recursive: true, mode: 0o750 });
    if (stats.isDirectory()) await fs.mkdir(target, { recursive: true });
    else await (await fs.open(target, 'a')).close();
    await bindMount(source, target);
  } finally {
    await handle.close();
  }
}

/** Like mkdir -p, but no step may lead out of the base. */
async function makeDirectories(base: string, subPath: string): Promise<string> {
  let at = base;
  for (const part of subPath.split('/').filter(Boolean)) {
    const next = path.join(at, part);
    await fs.mkdir(next, { mode: 0o750 }).then(
      () => fs.chmod(next, 0o777 & ~process.umask()),
      (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
      },
    );
    at = await fs.realpath(next);
    if (!isWithin(base, at)) throw new Error(`subpath "${subPath}" leads out of the volume`);
  }
  return at;
}
