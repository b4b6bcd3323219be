import { createReadStream, createWriteStream } from 'node:fs';
import fs from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Clock, Logger } from '@naru/foundation';

export interface LogRotatorDeps {
  clock: Clock;
  logger: Logger;
  /** Running containers and where they write. */
  logs: () => { containerId: string; file: string }[];
  reopen: (containerId: string) => Promise<void>;
  maxBytes?: number;
  /** With the one that is being written. */
  maxFiles?: number;
  periodMs?: number;
}

/** Upstream's names: FILE.20060102-150405, all but the newest of them compressed. */
function stamp(ms: number): string {
  const text = new Date(ms).toISOString().replace(/[-:]/g, '');
  return `${text.slice(0, 8)}-${text.slice(9, 15)}`;
}

/** Keeps container logs to 5 files of 10 MiB each. Source: pkg/kubelet/logs/container_log_manager.go. */
export class LogRotator {
  constructor(private readonly deps: LogRotatorDeps) {}

  async run(signal: AbortSignal): Promise<void> {
    const { clock, periodMs = 10_000 } = this.deps;
    while (!signal.aborted) {
      await clock.sleep(periodMs, signal).catch(() => undefined);
      if (!signal.aborted) await this.rotateAll();
    }
  }

  async rotateAll(): Promise<void> {
    const { logs, logger, maxBytes = 10 << 20 } = this.deps;
    for (const { containerId, file } of logs()) {
      try {
        const { size } = await fs.stat(file);
        if (size >= maxBytes) await this.rotate(containerId, file);
      } catch (err) {
        if ((err as NodeJS.ErrnoException).code !== 'ENOENT') logger.warn({ err, containerId }, 'log not rotated');
      }
    }
  }

  private async rotate(containerId: string, file: string): Promise<void> {
    const { clock, reopen, maxFiles = 5 } = this.deps;
    const old = await this.rotatedFiles(file);
    // Room for the file being written and the one that is about to be put aside.
    const surplus = old.splice(0, Math.max(0, old.length - (maxFiles - 2)));
    for (const name of surplus) await fs.rm(name, { force: true });
    for (const name of old) if (!name.endsWith('.gz')) await compress(name);
    const aside = `${file}.${stamp(clock.now())}`;
    await fs.rename(file, aside);
    try {
      await reopen(containerId);
    } catch (error) {
      // The container still writes into the old file: it must keep its name, or its lines are lost to readers.
      await fs.rename(aside, file);
      throw error;
    }
  }

  /** Oldest first. */
  private async rotatedFiles(file: string): Promise<string[]> {
    const directory = path.dirname(file);
    const base = path.basename(file);
    const names = await fs.readdir(directory);
    const rotated = names.filter(name => name.startsWith(`${base}.`) && !name.endsWith('.tmp'));
    return rotated.sort().map(name => path.join(directory, name));
  }
}

async function compress(file: string): Promise<void> {
  const temporary = `${file}.tmp`;
  await pipeline(createReadStream(file), createGzip(), createWriteStream(temporary));
  await fs.rename(temporary, `${file}.gz`);
  await fs.rm(file);
}
