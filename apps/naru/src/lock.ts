import { spawnSync } from 'node:child_process';
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';

/** Another `naru` command is changing the cluster. */
export class BusyError extends Error {}

/**
 * Takes the file as a lock for this process; the function returned gives it back, and the kernel does when the process ends.
 * Throws BusyError, naming the holder, when it is held.
 */
export function lock(file: string): () => void {
  mkdirSync(path.dirname(file), { recursive: true });
  for (;;) {
    const handle = openSync(file, 'a', 0o600);
    if (!take(handle)) {
      closeSync(handle);
      throw new BusyError(`another naru command${holderOf(file)} is working on this cluster; wait for it to end`);
    }
    // Whoever had it may have removed the file between our opening it and our taking it.
    if (isAt(file, handle)) {
      ftruncateSync(handle);
      writeSync(handle, `${process.pid}\n`);
      return () => {
        rmSync(file, { force: true });
        closeSync(handle);
      };
    }
    closeSync(handle);
  }
}

/** flock(2), which Node lacks: the lock is of the open file, which the program shares with this process, and stays when it has ended. */
function take(handle: number): boolean {
  const { status, error } = spawnSync('flock', ['--nonblock', '3'], { stdio: ['ignore', 'ignore', 'ignore', handle] });
  if (error) throw error;
  if (status !== 0 && status !== 1) throw new Error(`flock ended with ${status}`);
  return status === 0;
}

function isAt(file: string, handle: number): boolean {
  const [there, ours] = [statSync(file, { throwIfNoEntry: false }), fstatSync(handle)];
  return there?.ino === ours.ino && there.dev === ours.dev;
}

/** Empty in the moment before the holder has written it. */
function holderOf(file: string): string {
  try {
    const pid = readFileSync(file, 'utf8').trim();
    return pid && ` (pid ${pid})`;
  } catch {
    return '';
  }
}
