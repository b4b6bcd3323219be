import { execFile } from 'node:child_process';
import fs from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const timeoutMs = 30_000;

async function command(name: string, args: string[]): Promise<void> {
  try {
    await run(name, args, { timeout: timeoutMs });
  } catch (cause) {
    const said = (cause as { stderr?: string }).stderr?.trim();
    throw new Error(`${name} ${args.join(' ')}: ${said || (cause as Error).message}`, { cause });
  }
}

/** Mounts a tmpfs. `sizeBytes` 0 leaves the kernel's default, half of the memory. */
export async function mountTmpfs(target: string, sizeBytes: number, mode: string): Promise<void> {
  const options = [`mode=${mode}`, ...(sizeBytes > 0 ? [`size=${sizeBytes}`] : [])].join(',');
  await command('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', target]);
}

export async function bindMount(source: string, target: string): Promise<void> {
  // Without canonicalisation: a source below /proc/PID/fd is a link whose text is not what it leads to.
  await command('mount', ['--no-canonicalize', '--bind', source, target]);
}

export async function unmount(target: string): Promise<void> {
  await command('umount', [target]);
}

/** The text of mountinfo writes blanks and backslashes as octal. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
}

/** Mount points at and below a directory, the deepest first. */
export async function mountsBelow(directory: string): Promise<string[]> {
  const text = await fs.readFile('/proc/self/mountinfo', 'utf8');
  const found: string[] = [];
  for (const line of text.split('\n')) {
    const point = line.split(' ')[4];
    if (point === undefined) continue;
    const target = unescape(point);
    if (target === directory || target.startsWith(`${directory}/`)) found.push(target);
  }
  return found.reverse();
}

/** Unmounts all there is at and below a directory, so that it can be removed without touching what was mounted. */
export async function unmountBelow(directory: string): Promise<void> {
  for (const target of await mountsBelow(directory)) await unmount(target);
}
