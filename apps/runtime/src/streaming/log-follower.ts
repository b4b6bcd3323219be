import fs from 'node:fs';

/** One piece of a container's output. */
export interface LogPiece {
  stream: 'stdout' | 'stderr';
  data: Buffer;
}

const space = 0x20;
const newline = 0x0a;
const chunkBytes = 64 << 10;

/** Parses `2026-01-02T03:04:05.6Z stdout F text`: F is a whole line, P a part without its end. */
export function parseLogLine(line: Buffer): LogPiece | undefined {
  const first = line.indexOf(space);
  const second = line.indexOf(space, first + 1);
  const third = line.indexOf(space, second + 1);
  if (first < 0 || second < 0 || third < 0) return undefined;
  const stream = line.toString('latin1', first + 1, second);
  if (stream !== 'stdout' && stream !== 'stderr') return undefined;
  const text = line.subarray(third + 1);
  const partial = line.toString('latin1', second + 1, third).startsWith('P');
  return { stream, data: partial ? Buffer.from(text) : Buffer.concat([text, Buffer.of(newline)]) };
}

/**
 * Follows a CRI log from its present end, by inotify, through rotation. Ends when `ended` has resolved and all that was written before
 * has been read, or when aborted.
 */
export async function* followLog(file: string, ended: Promise<unknown>, signal: AbortSignal): AsyncGenerator<LogPiece> {
  let handle = fs.openSync(file, 'r');
  let wake: () => void = () => undefined;
  let over = false;
  const stop = (): void => {
    over = true;
    wake();
  };
  ended.then(stop, stop);
  signal.addEventListener('abort', stop, { once: true });
  const watcher = fs.watch(file, () => wake());
  // Rotation renames the file, and ends this watch's usefulness: look at the directory too.
  const directory = fs.watch(file.slice(0, file.lastIndexOf('/')), () => wake());
  let position = fs.fstatSync(handle).size;
  let rest: Buffer = Buffer.alloc(0);
  try {
    for (;;) {
      const woken = new Promise<void>(resolve => (wake = resolve));
      // Asked before the read: what is written before the end, or before the rotation, is then seen by it.
      const last = over;
      const current = fs.statSync(file, { throwIfNoEntry: false });
      const buffer = Buffer.alloc(chunkBytes);
      const size = fs.readSync(handle, buffer, 0, chunkBytes, position);
      position += size;
      if (size > 0) {
        rest = Buffer.concat([rest, buffer.subarray(0, size)]);
        for (let end = rest.indexOf(newline); end >= 0; end = rest.indexOf(newline)) {
          const piece = parseLogLine(rest.subarray(0, end));
          rest = rest.subarray(end + 1);
          if (piece) yield piece;
        }
        continue;
      }
      if (current && current.ino !== fs.fstatSync(handle).ino) {
        fs.closeSync(handle);
        handle = fs.openSync(file, 'r');
        position = 0;
        continue;
      }
      if (current && current.size < position) position = 0; // it was truncated
      if (last || signal.aborted) return;
      if (!over) await woken;
    }
  } finally {
    watcher.close();
    directory.close();
    fs.closeSync(handle);
  }
}
