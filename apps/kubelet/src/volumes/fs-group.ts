import fs from 'node:fs/promises';
import path from 'node:path';
import type { Pod } from '@naru/api';
import { fsGroupOf } from './plugin';

const readWrite = 0o660;
const readOnly = 0o440;
const directoryBits = 0o2110;

interface Ownership {
  gid: number;
  readOnly: boolean;
}

async function own(file: string, { gid, readOnly: isReadOnly }: Ownership): Promise<void> {
  const stats = await fs.lstat(file);
  await fs.lchown(file, stats.uid, gid);
  if (stats.isSymbolicLink()) return;
  const access = isReadOnly ? readOnly : readWrite;
  const mode = (stats.mode & 0o7777) | access | (stats.isDirectory() ? directoryBits : 0);
  await fs.chmod(file, mode);
}

/** One directory after the other: a volume may hold millions of files. Links are never followed. */
async function ownAll(directory: string, ownership: Ownership): Promise<void> {
  for await (const entry of await fs.opendir(directory)) {
    const file = path.join(directory, entry.name);
    if (entry.isDirectory()) await ownAll(file, ownership);
    else await own(file, ownership);
  }
  // Last, so that a root that is right says that everything below it is.
  await own(directory, ownership);
}

async function isRootRight(directory: string, { gid, readOnly: isReadOnly }: Ownership): Promise<boolean> {
  const stats = await fs.stat(directory);
  const wanted = (isReadOnly ? readOnly : readWrite) | directoryBits;
  return stats.gid === gid && (stats.mode & wanted) === wanted;
}

/**
 * Gives a volume to the pod's fsGroup: group, group permissions and, for directories, the set-group-id bit. With
 * fsGroupChangePolicy OnRootMismatch only when the volume's root says that it has not been done.
 * Source: pkg/volume/volume_linux.go.
 */
export async function applyFsGroup(directory: string, pod: Pod, isReadOnly = false): Promise<void> {
  const gid = fsGroupOf(pod);
  if (gid === undefined) return;
  const ownership = { gid, readOnly: isReadOnly };
  const policy = pod.spec?.securityContext?.fsGroupChangePolicy;
  if (policy === 'OnRootMismatch' && (await isRootRight(directory, ownership))) return;
  await ownAll(directory, ownership);
}
