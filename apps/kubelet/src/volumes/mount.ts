import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import fs from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const timeoutMs = 30_000;

async function command(name: string, args: string[]): Promise<void> {
  try {
    await run(name, args, { timeout: timeoutMs });
  } catch (cause) {
    const { code, stderr, message } = cause as Error & { code?: number | string; stderr?: string };
    const why = typeof code === 'number' ? `exit status ${code}` : message;
    const word = name === 'mount' ? 'Mounting' : 'Unmounting';
    throw new Error(
      `${name} failed: ${why}\n${word} command: ${name}\n${word} arguments: ${args.join(' ')}\nOutput: ${stderr?.trim()}`,
      {
        cause,
      },
    );
  }
}

/**
 * Mounts a filesystem of the given type. Throws, in upstream's words, what `mount` said. Users choose sources (of NFS, the server):
 * whatever one begins with, it is no option.
 */
export async function mountFilesystem(
  type: string,
  source: string,
  target: string,
  options: readonly string[],
): Promise<void> {
  await command('mount', ['-t', type, ...(options.length > 0 ? ['-o', options.join(',')] : []), '--', source, target]);
}

/** Mounts a tmpfs. `sizeBytes` 0 leaves the kernel's default, half of the memory. */
export async function mountTmpfs(target: string, sizeBytes: number, mode: string): Promise<void> {
  await mountFilesystem('tmpfs', 'tmpfs', target, [`mode=${mode}`, ...(sizeBytes > 0 ? [`size=${sizeBytes}`] : [])]);
}

export async function bindMount(source: string, target: string, options: readonly string[] = []): Promise<void> {
  // Without canonicalisation: a source below /proc/PID/fd is a link whose text is not what it leads to.
  await command('mount', ['--no-canonicalize', '--bind', '--', source, target]);
  // A bind mount takes its options only when it is there.
  if (options.length > 0) await command('mount', ['-o', ['remount', 'bind', ...options].join(','), target]);
}

export async function unmount(target: string): Promise<void> {
  await command('umount', [target]);
}

/** The text of mountinfo writes blanks and backslashes as octal. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
}

/** Mount points at and below a directory, the deepest first. The kernel's list of all mounts is read at once: three trips through the thread pool take longer. */
export function mountsBelow(directory: string): string[] {
  const text = readFileSync('/proc/self/mountinfo', 'utf8');
  const found: string[] = [];
  for (const line of text.split('\n')) {
    const point = line.split(' ')[4];
    if (point === undefined) continue;
    const target = unescape(point);
    if (target === directory || target.startsWith(`${directory}/`)) found.push(target);
  }
  return found.reverse();
}

/** Sees to it that mounts below a directory reach everybody who shares it: where it is not so it becomes a mount itself. */
export async function makeShared(directory: string): Promise<void> {
  const text = await fs.readFile('/proc/self/mountinfo', 'utf8');
  const real = await fs.realpath(directory);
  let best = { point: '', shared: false };
  for (const line of text.split('\n')) {
    const [, , , , point = '', , ...optional] = line.split(' ');
    const target = unescape(point);
    const holds = target === '/' || target === real || real.startsWith(`${target}/`);
    // The last of several mounts on one place is the one that is seen.
    if (!point || !holds || target.length < best.point.length) continue;
    best = { point: target, shared: optional.slice(0, optional.indexOf('-')).some(tag => tag.startsWith('shared:')) };
  }
  if (best.shared) return;
  if (best.point !== real) await bindMount(real, real);
  await command('mount', ['--make-rshared', real]);
}

export function isMountPoint(directory: string): boolean {
  return mountsBelow(directory).includes(directory);
}

/** Unmounts all there is at and below a directory, so that it can be removed without touching what was mounted. */
export async function unmountBelow(directory: string): Promise<void> {
  for (const target of mountsBelow(directory)) await unmount(target);
}
