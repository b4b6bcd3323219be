import { randomBytes } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';

export interface FileContent {
  data: Buffer;
  /** Permission bits. */
  mode: number;
  /** Owner; root if absent. */
  uid?: number | undefined;
}

/** Relative path → content. */
export type Payload = Map<string, FileContent>;

const current = '..data';

/** A path that stays where it is put. Throws for absolute paths, `..` and names that the writer keeps for itself. */
export function validateRelativePath(file: string): void {
  const parts = file.split('/');
  if (file === '' || path.isAbsolute(file) || parts.includes('..') || parts[0]?.startsWith('..')) {
    throw new Error(`invalid path "${file}": must be relative and must not contain ".."`);
  }
}

async function readLinkOrNothing(link: string): Promise<string | undefined> {
  try {
    return await fs.readlink(link);
  } catch {
    return undefined;
  }
}

async function filesBelow(directory: string, prefix = ''): Promise<string[]> {
  const entries = await fs.readdir(path.join(directory, prefix), { withFileTypes: true }).catch(() => []);
  const nested = entries.map(entry => {
    const name = path.join(prefix, entry.name);
    return entry.isDirectory() ? filesBelow(directory, name) : [name];
  });
  return (await Promise.all(nested)).flat();
}

async function isSame(directory: string, payload: Payload): Promise<boolean> {
  const files = await filesBelow(directory);
  if (files.length !== payload.size) return false;
  for (const [name, { data, mode }] of payload) {
    try {
      const file = path.join(directory, name);
      const [old, stats] = await Promise.all([fs.readFile(file), fs.stat(file)]);
      if (!old.equals(data) || (stats.mode & 0o777) !== mode) return false;
    } catch {
      return false;
    }
  }
  return true;
}

/**
 * Writes all files of a volume at once, as its readers see it: they go through the link `..data`, which is replaced by a
 * rename. Files that vanished from the payload lose their links. Returns whether anything changed.
 * Source: pkg/volume/util/atomic_writer.go, whose layout applications rely on.
 */
export async function writeAtomically(target: string, payload: Payload, gid?: number): Promise<boolean> {
  for (const name of payload.keys()) validateRelativePath(name);
  const link = path.join(target, current);
  const old = await readLinkOrNothing(link);
  if (old !== undefined && (await isSame(path.join(target, old), payload))) return false;

  const stamp = new Date().toISOString().replace(/[-:]/g, '_').replace('T', '_').slice(0, 19);
  const fresh = `..${stamp}.${randomBytes(5).toString('hex')}`;
  const directory = path.join(target, fresh);
  await makeDirectory(directory, gid);
  for (const [name, { data, mode, uid }] of payload) {
    const file = path.join(directory, name);
    await makeDirectory(path.dirname(file), gid);
    await fs.writeFile(file, data, { mode });
    // The process's umask has had its say in writeFile.
    await fs.chmod(file, mode);
    if (uid !== undefined || gid !== undefined) await fs.chown(file, uid ?? 0, gid ?? 0);
  }
  const temporary = path.join(target, '..data_tmp');
  await fs.rm(temporary, { force: true });
  await fs.symlink(fresh, temporary);
  await fs.rename(temporary, link);

  const wanted = new Set([...payload.keys()].map(name => name.split('/')[0] as string));
  for (const name of wanted) {
    const visible = path.join(target, name);
    if ((await readLinkOrNothing(visible)) === undefined) await fs.symlink(path.join(current, name), visible);
  }
  for (const name of await fs.readdir(target)) {
    const stale = name.startsWith('..') ? name !== fresh && name !== current : !wanted.has(name);
    if (stale) await fs.rm(path.join(target, name), { recursive: true, force: true });
  }
  return true;
}

async function makeDirectory(directory: string, gid: number | undefined): Promise<void> {
  const made = await fs.mkdir(directory, { recursive: true, mode: 0o755 });
  if (made === undefined) return;
  await fs.chmod(directory, gid === undefined ? 0o755 : 0o2755);
  if (gid !== undefined) await fs.chown(directory, 0, gid);
}
