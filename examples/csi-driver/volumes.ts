import { execFile } from 'node:child_process';
import fs from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The volumes of this node: each is a directory, or a file for one that is to be a block device. */
export class Volumes {
  constructor(private readonly root: string) {}

  /** Throws for an id that would lead elsewhere. */
  place(id: string): string {
    if (!/^[\w.-]+$/.test(id) || id.startsWith('.')) throw new Error(`invalid volume id "${id}"`);
    return path.join(this.root, id);
  }

  async create(id: string): Promise<void> {
    await fs.mkdir(this.place(id), { recursive: true });
    await fs.chmod(this.place(id), 0o777);
  }

  /** Of so many bytes; makes an existing one larger, never smaller. */
  async createBlock(id: string, bytes: bigint): Promise<void> {
    await fs.mkdir(this.root, { recursive: true });
    const file = await fs.open(this.place(id), 'a');
    try {
      const { size } = await file.stat({ bigint: true });
      if (size < bytes) await file.truncate(Number(bytes));
    } finally {
      await file.close();
    }
  }

  /** For trying out what users do then: `CODE message` in the file `.ID.refusal` is what growing the volume answers with. */
  async refusal(id: string): Promise<string | undefined> {
    return fs.readFile(path.join(this.root, `.${id}.refusal`), 'utf8').catch(() => undefined);
  }

  isBlock(id: string): Promise<boolean> {
    return fs.stat(this.place(id)).then(
      stats => stats.isFile(),
      () => false,
    );
  }

  /** In bytes that volumes may still take. */
  async room(): Promise<bigint> {
    await fs.mkdir(this.root, { recursive: true });
    const { bavail, bsize } = await fs.statfs(this.root, { bigint: true });
    return bavail * bsize;
  }

  async remove(id: string): Promise<void> {
    await fs.rm(this.place(id), { recursive: true, force: true });
  }

  exists(id: string): Promise<boolean> {
    return fs.stat(this.place(id)).then(
      () => true,
      () => false,
    );
  }
}

export async function isMounted(target: string): Promise<boolean> {
  const mounts = await fs.readFile('/proc/self/mountinfo', 'utf8');
  return mounts.split('\n').some(line => line.split(' ')[4] === target);
}

/** Shows a directory or a device at a second place as well. Does nothing when it is there already. */
export async function bind(source: string, target: string, readOnly: boolean): Promise<void> {
  if ((await fs.stat(source)).isDirectory()) await fs.mkdir(target, { recursive: true });
  else await (await fs.open(target, 'a')).close();
  if (await isMounted(target)) return;
  await run('mount', ['-o', 'bind', source, target]);
  if (readOnly) await run('mount', ['-o', 'remount,bind,ro', target]);
}

export async function unbind(target: string): Promise<void> {
  if (await isMounted(target)) await run('umount', [target]);
  const stats = await fs.lstat(target).catch(() => undefined);
  if (stats) await (stats.isDirectory() ? fs.rmdir(target) : fs.unlink(target));
}
