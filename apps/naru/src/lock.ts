import { linkSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { isRunning, readProcessId, startTimeOf } from './process-id';

/** Another `naru` command is changing the cluster. */
export class BusyError extends Error {}

/**
 * Takes the file as a lock for this process; the function returned gives it back. A lock of a process that no longer runs
 * is taken over. Throws BusyError, naming the holder, when it is held.
 */
export function lock(file: string): () => void {
  mkdirSync(path.dirname(file), { recursive: true });
  const own = `${process.pid} ${startTimeOf(process.pid)}\n`;
  for (let attempt = 0; ; attempt++) {
    try {
      create(file, own);
      return () => rmSync(file, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const holder = readProcessId(file);
    if (holder && isRunning(holder)) {
      throw new BusyError(`another naru command (pid ${holder.pid}) is working on this cluster; wait for it to end`);
    }
    if (attempt > 5) throw new BusyError(`cannot take the lock ${file}`);
    // Move the stale lock away before looking again: of two that find it stale, one moves it, and the other finds what
    // the first has made of it.
    const stale = `${file}.stale-${process.pid}`;
    try {
      renameSync(file, stale);
      const taken = readProcessId(stale);
      if (taken && isRunning(taken)) renameSync(stale, file);
      else rmSync(stale);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}

/** Never empty: who sees a lock without its holder takes it for stale. Throws EEXIST. */
function create(file: string, content: string): void {
  const whole = `${file}.new-${process.pid}`;
  writeFileSync(whole, content);
  try {
    linkSync(whole, file);
  } finally {
    rmSync(whole);
  }
}
