import fs from 'node:fs/promises';
import type { Logger } from '@naru/foundation';
import { mountsBelow, mountTmpfs } from './mount';

/** A directory on a tmpfs for secrets; without the right to mount one they stay on the disk, as root's alone. */
export async function memoryDirectory(directory: string, logger: Logger): Promise<void> {
  await fs.mkdir(directory, { recursive: true, mode: 0o700 });
  if (mountsBelow(directory).includes(directory)) return;
  try {
    await mountTmpfs(directory, 0, '0755');
  } catch (err) {
    logger.warn({ err, directory }, 'no tmpfs for secrets, they are kept on disk');
  }
}
