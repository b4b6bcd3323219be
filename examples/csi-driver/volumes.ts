import { execFile } from 'node:child_process';
import fs from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The volumes of this node: each is a directory. */
export class Volumes {
  constructor(private readonly root: string) {}

  /** Throws for an id that would lead elsewhere. */
  directory(id: string): string {
    if (!/^[\w.-]+$/.test(id) || id.startsWith('.')) throw new Error(`invalid volume id "${id}"`);
    return path.join(this.root, id);
  }

  async create(id: string): Promise<void> {
    await fs.mkdir(this.directory(id), { recursive: true });
    await fs.chmod(this.directory(id), 0o777);
  }

  async remove(id: string): Promise<void> {
    await fs.rm(this.directory(id), { recursive: true, force: true });
  }

  exists(id: string): Promise<boolean> {
    return fs.stat(this.directory(id)).then(
      () => true,
      () => false,
    );
  }
}

export async function isMounted(target: string): Promise<boolean> {
  const mounts = await fs.readFile('/proc/self/mountinfo', 'utf8');
  return mounts.split('\n').some(line => line.split(' ')[4] === target);
}

/** Shows a directory at a second place as well. Does nothing when it is there already. */
export async function bind(source: string, target: string, readOnly: boolean): Promise<void> {
  await fs.mkdir(target, { recursive: true });
  if (await isMounted(target)) return;
  await run('mount', ['-o', 'bind', source, target]);
  if (readOnly) await run('mount', ['-o', 'remount,bind,ro', target]);
}

export async function unbind(target: string): Promise<void> {
  if (await isMounted(target)) await run('umount', [target]);
  await fs.rmdir(target).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}
