import { mkdirSync } from 'node:fs';
import fs from 'node:fs/promises';

/** The directory of a volume: anyone in the container may list it; files have modes of their own. */
export async function makeVolumeDirectory(directory: string, gid?: number, mode = 0o755): Promise<void> {
  const made = mkdirSync(directory, { recursive: true });
  if (made === undefined) return;
  await fs.chmod(directory, gid === undefined ? mode : mode | 0o2070);
  if (gid !== undefined) await fs.chown(directory, 0, gid);
}
