import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
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

function readLinkOrNothing(link: string): string | undefined {
  try {
    return readlinkSync(link);
  } catch {
    return undefined;
  }
}

/**
 * Paths of the files below a directory. It is read at once, as all that is compared: a few small files of our own that the kernel has
 * in memory, for each of which the thread pool would cost ten times what the reading does, for every pod, twice a minute.
 */
function filesBelow(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter(entry => !entry.isDirectory())
    .map(entry => path.relative(directory, path.join(entry.parentPath, entry.name)));
}

function isSame(directory: string, payload: Payload): boolean {
  try {
    if (filesBelow(directory).length !== payload.size) return false;
    return [...payload].every(([name, { data, mode }]) => {
      const file = path.join(directory, name);
      return (statSync(file).mode & 0o777) === mode && readFileSync(file).equals(data);
    });
  } catch {
    return false;
  }
}

/**
 * Writes all files of a volume at once, as its readers see it: they go through the link `..data`, which is replaced by a
 * rename. Files that vanished from the payload lose their links. Returns whether anything changed.
 * Source: pkg/volume/util/atomic_writer.go, whose layout applications rely on.
 */
export async function writeAtomically(target: string, payload: Payload, gid?: number): Promise<boolean> {
  for (const name of payload.keys()) validateRelativePath(name);
  const link = path.join(target, current);
  const old = readLinkOrNothing(link);
  if (old !== undefined && isSame(path.join(target, old), payload)) return false;

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
    if (readLinkOrNothing(visible) === undefined) await fs.symlink(path.join(current, name), visible);
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
