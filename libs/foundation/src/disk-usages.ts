import fs from 'node:fs/promises';
import path from 'node:path';
import type { Clock } from './clock';

export interface DiskUsage {
  /** When it was measured, milliseconds since the epoch. */
  atMs: number;
  bytes: number;
  inodes: number;
}

/**
 * How much lies below directories. Walking is slow, so the answer is the last one known, renewed in the background; directories nobody
 * asks for any more are forgotten.
 */
export class DiskUsages {
  readonly #known = new Map<string, DiskUsage & { askedAtMs: number }>();
  #walking: Promise<void> = Promise.resolve();
  readonly #waiting = new Map<string, Promise<void>>();
  #walked: string | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly maxAgeMs = 60_000,
  ) {}

  /** The last known usage; undefined until the first walk has ended. */
  get(directory: string): DiskUsage | undefined {
    const known = this.#known.get(directory);
    const now = this.clock.now();
    if (known) known.askedAtMs = now;
    const old = !known || now - known.atMs >= this.maxAgeMs;
    if (old && this.#walked !== directory) void this.renew(directory);
    return known;
  }

  /** Walks now; resolves when `get` knows the outcome. A walk that is under way does not count: it may have seen less. Never rejects. */
  renew(directory: string): Promise<void> {
    const waiting = this.#waiting.get(directory);
    if (waiting) return waiting;
    // One walk at a time: a disk has one head, and the event loop one thread.
    const walk = this.#walking.then(async () => {
      this.#waiting.delete(directory);
      this.#walked = directory;
      const usage = await measure(directory).catch(() => undefined);
      const now = this.clock.now();
      if (usage) this.#known.set(directory, { atMs: now, askedAtMs: now, ...usage });
      else this.#known.delete(directory);
      this.#walked = undefined;
      this.#forget(now);
    });
    this.#waiting.set(directory, walk);
    this.#walking = walk;
    return walk;
  }

  #forget(now: number): void {
    for (const [directory, { askedAtMs }] of this.#known) {
      if (now - askedAtMs > 5 * this.maxAgeMs) this.#known.delete(directory);
    }
  }
}

/** Blocks and entries below a directory of one file system: what is mounted there is not its own. */
async function measure(directory: string): Promise<{ bytes: number; inodes: number }> {
  const { dev } = await fs.lstat(directory);
  const total = { bytes: 0, inodes: 0 };
  const linked = new Set<number>();
  const walk = async (at: string): Promise<void> => {
    for (const entry of await fs.readdir(at, { withFileTypes: true })) {
      const file = path.join(at, entry.name);
      const stat = await fs.lstat(file).catch(() => undefined);
      if (!stat || stat.dev !== dev) continue;
      // A file of several names takes its place once.
      if (stat.nlink > 1 && !entry.isDirectory()) {
        if (linked.has(stat.ino)) continue;
        linked.add(stat.ino);
      }
      total.inodes++;
      total.bytes += stat.blocks * 512;
      if (entry.isDirectory()) await walk(file).catch(() => undefined);
    }
  };
  await walk(directory);
  return total;
}
