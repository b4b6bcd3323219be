import { execFile } from 'node:child_process';
import fs from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const attempts = 10;

/** The loop device that shows a file, if there is one. The kernel knows; nothing is remembered. */
export async function deviceOf(file: string): Promise<string | undefined> {
  for (const name of await fs.readdir('/sys/block')) {
    if (!name.startsWith('loop')) continue;
    const backing = await fs.readFile(`/sys/block/${name}/loop/backing_file`, 'utf8').catch(() => '');
    if (backing.trim() === file) return path.join('/dev', name);
  }
  return undefined;
}

/** Shows a file as a block device. Does nothing when it is there already. */
export async function attachDevice(file: string): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    const present = await deviceOf(file);
    if (present) return present;
    const { stdout } = await run('losetup', ['-f']);
    // Somebody else may have taken it meanwhile.
    await run('losetup', [stdout.trim(), file]).catch((error: Error) => {
      if (attempt === attempts) throw error;
    });
  }
}

export async function detachDevice(file: string): Promise<void> {
  const device = await deviceOf(file);
  if (device) await run('losetup', ['-d', device]);
}

/** The device sees that its file has another size. */
export async function resizeDevice(file: string): Promise<void> {
  const device = await deviceOf(file);
  if (device) await run('losetup', ['-c', device]);
}
