import { existsSync, readFileSync, readdirSync, rmdirSync } from 'node:fs';
import path from 'node:path';
import { waitFor } from '../wait';

const root = '/sys/fs/cgroup';

/** The folders of a group in every hierarchy of this machine: one with cgroup v2, one a controller with v1. */
export function cgroupFolders(group: string): string[] {
  const hierarchies = existsSync(path.join(root, 'cgroup.controllers'))
    ? [root]
    : readdirSync(root, { withFileTypes: true })
        .filter(entry => entry.isDirectory())
        .map(entry => path.join(root, entry.name));
  return hierarchies.map(hierarchy => path.join(hierarchy, group)).filter(existsSync);
}

function readPids(folder: string): number[] {
  try {
    return readFileSync(path.join(folder, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** Processes of the node itself, without those of its pods; pids as the machine sees them. */
export function nodeProcesses(group: string): number[] {
  const [folder] = cgroupFolders(group);
  if (!folder) return [];
  return [...readPids(folder), ...readPids(path.join(folder, 'init'))];
}

function removeTree(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory()) removeTree(path.join(folder, entry.name));
  rmdirSync(folder);
}

/** Removes a group with everything below it; waits up to a minute for processes that are just ending. */
export async function removeCgroup(group: string): Promise<void> {
  await waitFor(
    `end of the processes in cgroup ${group}`,
    () => {
      try {
        for (const folder of cgroupFolders(group)) removeTree(folder);
        return true;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === 'EBUSY' || code === 'ENOENT' || code === 'ENOTEMPTY') return false;
        throw error;
      }
    },
    { timeoutMs: 60_000, everyMs: 20 },
  );
}
