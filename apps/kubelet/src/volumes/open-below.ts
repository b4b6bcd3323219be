import { constants } from 'node:fs';
import fs from 'node:fs/promises';
import path from 'node:path';

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;
/** Linux's O_PATH, which Node does not name: a handle on the place, without reading. */
const O_PATH = 0o10000000;

export function isWithin(base: string, target: string): boolean {
  return target === base || target.startsWith(`${base}/`);
}

/**
 * Opens `target` below `base` one name at a time without following links, so that somebody who swaps a directory
 * for a link meanwhile leads nowhere. Both must be free of links as they were looked up. What the handle is of is reached,
 * and opened anew for reading, by `placeOf`.
 */
export async function openBelow(base: string, target: string): Promise<fs.FileHandle> {
  let handle = await fs.open(base, O_RDONLY | O_DIRECTORY);
  const parts = path.relative(base, target).split('/').filter(Boolean);
  for (const part of parts) {
    const next = await fs.open(`${placeOf(handle)}/${part}`, O_PATH | O_NOFOLLOW).catch(async error => {
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

/** The text of a file below `base`. A link may lead to it that stays there, however quickly somebody swaps files meanwhile. */
export async function readBelow(base: string, name: string, maxBytes: number): Promise<string> {
  const root = await fs.realpath(base);
  const target = await fs.realpath(path.join(root, name));
  if (!isWithin(root, target)) throw new Error(`"${name}" leads out of its volume`);
  const handle = await openBelow(root, target);
  try {
    const stat = await handle.stat();
    // A pipe would hold the reader for ever.
    if (!stat.isFile()) throw new Error(`"${name}" is no file`);
    if (stat.size > maxBytes) throw new Error(`"${name}" has more than ${maxBytes} bytes`);
    return await fs.readFile(placeOf(handle), 'utf8');
  } finally {
    await handle.close();
  }
}

/** A path that leads to what is open, wherever it has been moved to. */
export function placeOf({ fd }: fs.FileHandle): string {
  return `/proc/${process.pid}/fd/${fd}`;
}
