import fs from 'node:fs';
import type { ContainerRecord } from '../pods/runtime-state';
import { parseLogLine } from '../logs/log-line';

/** Upstream's limits. */
const maxMessageBytes = 4096;
const maxLogBytes = 2048;
const maxLogLines = 80;

/**
 * Some bytes of a file, from a place that its size decides; nothing where there is no file. They are read at once: the thread pool would take many times as
 * long. What is no regular file keeps nobody waiting.
 */
function readPart(file: string, bytes: number, from: (size: number) => number): string {
  let handle: number;
  try {
    handle = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  } catch {
    return '';
  }
  try {
    const { size } = fs.fstatSync(handle);
    const buffer = Buffer.alloc(Math.min(size, bytes));
    return buffer.toString('utf8', 0, fs.readSync(handle, buffer, 0, buffer.length, from(size)));
  } finally {
    fs.closeSync(handle);
  }
}

function endOfLog(file: string): string {
  // Each line carries some 45 bytes of time and stream.
  const bytes = maxLogBytes + maxLogLines * 64;
  const raw = readPart(file, bytes, size => Math.max(0, size - bytes));
  const lines = raw
    .split('\n')
    .map(line => parseLogLine(Buffer.from(line)))
    .filter(line => line !== undefined)
    .slice(-maxLogLines)
    .map(line => line.content.toString('utf8') + (line.partial ? '' : '\n'));
  return lines.join('').slice(-maxLogBytes);
}

/** A container's last words: its message file or, where asked for and it failed, the end of its log. */
export function terminationMessage(record: ContainerRecord): string {
  const message = record.messageHostPath ? readPart(record.messageHostPath, maxMessageBytes, () => 0) : '';
  if (message !== '' || record.messagePolicy !== 'FallbackToLogsOnError' || record.exitCode === 0) return message;
  return record.logPath ? endOfLog(record.logPath) : '';
}
