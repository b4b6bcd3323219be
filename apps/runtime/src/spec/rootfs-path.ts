import fs from 'node:fs';

const maxLinks = 40;

/**
 * The real place of a path in a container's root, with symbolic links followed as the container would see them: `/` and `..` never
 * leave the root. Parts that do not exist are kept as they are. The root must not change meanwhile: use it before the container runs.
 */
export function resolveInRoot(root: string, file: string): string {
  const pending = file.split('/').filter(Boolean);
  const resolved: string[] = [];
  for (let links = 0; pending.length > 0;) {
    const part = pending.shift() as string;
    if (part === '.') continue;
    if (part === '..') {
      resolved.pop();
      continue;
    }
    const candidate = `${root}/${[...resolved, part].join('/')}`;
    if (!fs.lstatSync(candidate, { throwIfNoEntry: false })?.isSymbolicLink()) {
      resolved.push(part);
      continue;
    }
    if (++links > maxLinks) throw new Error(`too many symbolic links in ${file}`);
    const target = fs.readlinkSync(candidate);
    if (target.startsWith('/')) resolved.length = 0;
    pending.unshift(...target.split('/').filter(Boolean));
  }
  return `${root}/${resolved.join('/')}`;
}

/** Opens a regular file in a container's root for reading; undefined when there is none. */
export function openInRoot(root: string, file: string): number | undefined {
  try {
    const handle = fs.openSync(
      resolveInRoot(root, file),
      fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK,
    );
    if (fs.fstatSync(handle).isFile()) return handle;
    fs.closeSync(handle);
  } catch {
    // Absent, or no file: the same to the caller.
  }
  return undefined;
}
