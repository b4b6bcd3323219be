import { existsSync, readFileSync, rmSync } from 'node:fs';

/** Removes a folder, but never reaches through a mount: throws, naming it, when something is mounted below. */
export function removeTree(folder: string): void {
  if (!existsSync(folder)) return;
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map(line => line.split(' ')[4] ?? '');
  const mounted = mounts.find(point => point === folder || point.startsWith(`${folder}/`));
  if (mounted) throw new Error(`${folder} cannot be removed: ${mounted} is mounted`);
  rmSync(folder, { recursive: true, force: true });
}
