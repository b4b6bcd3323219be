import fs from 'node:fs';
import path from 'node:path';
import type { Clock } from '@naru/foundation';
import { parseLogLine, type LogLine } from './log-line';

/** v1.PodLogOptions, as far as they concern the file. */
export interface LogOptions {
  follow: boolean;
  timestamps: boolean;
  tailLines?: number | undefined;
  limitBytes?: number | undefined;
  /** Nothing older than this, in milliseconds. */
  sinceMs?: number | undefined;
  /** Only one of the two. */
  stream?: 'stdout' | 'stderr' | undefined;
}

export interface LogReaderDeps {
  clock: Clock;
  /** Says that nothing will be written any more. */
  hasEnded: () => Promise<boolean>;
  signal: AbortSignal;
  /** Takes a piece; resolves when there is room for more. */
  write: (data: Buffer) => Promise<void>;
}

const blockBytes = 64 << 10;
const newline = 0x0a;
/** A line longer than this is handed on in pieces. */
const maxLineBytes = 1 << 20;
/** How long a follower waits for the file system to tell of a change before it looks by itself. */
const followPollMs = 1_000;

/** Where the last `count` complete lines begin. Partial lines of CRI count as lines, as upstream. */
export function tailOffset(fd: number, size: number, count: number): number {
  if (count <= 0) return size;
  const block = Buffer.alloc(blockBytes);
  let end = size;
  let seen = 0;
  while (end > 0) {
    const start = Math.max(0, end - blockBytes);
    const length = fs.readSync(fd, block, 0, end - start, start);
    for (let i = length - 1; i >= 0; i--) {
      if (block[i] !== newline || start + i === size - 1) continue;
      if (++seen === count) return start + i + 1;
    }
    end = start;
  }
  return 0;
}

function isRecent(line: LogLine, sinceMs: number | undefined): boolean {
  return sinceMs === undefined || Date.parse(line.time) >= sinceMs;
}

class Writer {
  private left: number;
  /** Of the last lines those that are there now: what is written meanwhile is not of them, unless it is followed. */
  private linesLeft: number;
  private continued = false;

  constructor(
    private readonly options: LogOptions,
    private readonly deps: LogReaderDeps,
  ) {
    this.left = options.limitBytes ?? Infinity;
    this.linesLeft = options.follow ? Infinity : (options.tailLines ?? Infinity);
  }

  get full(): boolean {
    return this.left <= 0 || this.linesLeft <= 0;
  }

  async line(raw: Buffer): Promise<void> {
    this.linesLeft--;
    const line = parseLogLine(raw);
    if (!line || !isRecent(line, this.options.sinceMs)) return;
    if (this.options.stream && this.options.stream !== line.stream) return;
    const parts: Buffer[] = [];
    // Of a line in pieces only the first one tells the time.
    if (this.options.timestamps && !this.continued) parts.push(Buffer.from(`${line.time} `));
    parts.push(line.content);
    if (!line.partial) parts.push(Buffer.from('\n'));
    this.continued = line.partial;
    let data = Buffer.concat(parts);
    if (data.length > this.left) data = data.subarray(0, this.left);
    this.left -= data.length;
    if (data.length > 0) await this.deps.write(data);
  }
}

/** Resolves when the file may have changed, after a while, or when the signal says so. */
function changed(file: string, clock: Clock, signal: AbortSignal): { promise: Promise<void>; close: () => void } {
  let wake: () => void = () => undefined;
  const promise = new Promise<void>(resolve => (wake = resolve));
  let watcher: fs.FSWatcher | undefined;
  try {
    watcher = fs.watch(path.dirname(file), () => wake());
    watcher.on('error', () => wake());
  } catch {
    // Out of watches, or gone: the timer is enough.
  }
  const cancel = clock.after(followPollMs, wake);
  signal.addEventListener('abort', wake, { once: true });
  return {
    promise,
    close: () => {
      cancel();
      watcher?.close();
      signal.removeEventListener('abort', wake);
    },
  };
}

/**
 * Sends a container's log: from where the options say to the end of the file and, with `follow`, what is added until the
 * container ends or the signal. A file that is rotated away is read to its end before the new one.
 */
export async function readLogs(file: string, options: LogOptions, deps: LogReaderDeps): Promise<void> {
  const writer = new Writer(options, deps);
  let handle = await fs.promises.open(file, 'r');
  try {
    const { size } = await handle.stat();
    let position = options.tailLines === undefined ? 0 : tailOffset(handle.fd, size, options.tailLines);
    let rest = Buffer.alloc(0);
    const block = Buffer.alloc(blockBytes);
    for (;;) {
      if (deps.signal.aborted || writer.full) return;
      // Asked before the read: what is written before the end, or before the rotation, is then seen by it.
      const watch = options.follow ? changed(file, deps.clock, deps.signal) : undefined;
      try {
        const ended = options.follow ? await deps.hasEnded() : true;
        const isRotated = options.follow && (await isRotatedAway(file, handle));
        const { bytesRead } = await handle.read(block, 0, blockBytes, position);
        if (bytesRead > 0) {
          position += bytesRead;
          rest = await sendLines(Buffer.concat([rest, block.subarray(0, bytesRead)]), writer);
          continue;
        }
        const next = isRotated ? await fs.promises.open(file, 'r').catch(() => undefined) : undefined;
        if (next) {
          await handle.close();
          handle = next;
          position = 0;
          continue;
        }
        if (ended) {
          if (rest.length > 0) await writer.line(rest);
          return;
        }
        await watch?.promise;
      } finally {
        watch?.close();
      }
    }
  } finally {
    await handle.close();
  }
}

async function sendLines(data: Buffer, writer: Writer): Promise<Buffer<ArrayBuffer>> {
  let start = 0;
  for (let at = data.indexOf(newline); at >= 0 && !writer.full; at = data.indexOf(newline, start)) {
    await writer.line(data.subarray(start, at));
    start = at + 1;
  }
  const rest = data.subarray(start);
  if (rest.length <= maxLineBytes) return Buffer.from(rest);
  await writer.line(rest);
  return Buffer.alloc(0);
}

/** Whether the name is another file's by now. */
async function isRotatedAway(file: string, handle: fs.promises.FileHandle): Promise<boolean> {
  const [open, named] = await Promise.all([handle.stat(), fs.promises.stat(file).catch(() => undefined)]);
  return named !== undefined && (named.ino !== open.ino || named.dev !== open.dev);
}
