import fs from 'node:fs/promises';
import type { ContainerRecord } from '../pods/runtime-state';
import { parseLogLine } from '../logs/log-line';

/** Upstream's limits. */
const maxMessageBytes = 4096;
const maxLogBytes = 2048;
const maxLogLines = 80;

async function readEnd(file: string, bytes: number): Promise<string> {
  const handle = await fs.open(file, 'r').catch(() => undefined);
  if (!handle) return '';
  try {
    const { size } = await handle.stat();
    const buffer = Buffer.alloc(Math.min(size, bytes));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, Math.max(0, size - bytes));
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await handle.close();
  }
}

async function readStart(file: string, bytes: number): Promise<string> {
  const handle = await fs.open(file, 'r').catch(() => undefined);
  if (!handle) return '';
  try {
    const buffer = Buffer.alloc(bytes);
    const { bytesRead } = await handle.read(buffer, 0, bytes, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await handle.close();
  }
}

async function endOfLog(file: string): Promise<string> {
  // Each line carries some 45 bytes of time and stream.
  const raw = await readEnd(file, maxLogBytes + maxLogLines * 64);
  const lines = raw
    .split('\n')
    .map(line => parseLogLine(Buffer.from(line)))
    .filter(line => line !== undefined)
    .slice(-maxLogLines)
    .map(line => line.content.toString('utf8') + (line.partial ? '' : '\n'));
  return lines.join('').slice(-maxLogBytes);
}

/** A container's last words: its message file or, where asked for and it failed, the end of its log. */
export async function terminationMessage(record: ContainerRecord): Promise<string> {
  const message = record.messageHostPath ? await readStart(record.messageHostPath, maxMessageBytes) : '';
  if (message !== '' || record.messagePolicy !== 'FallbackToLogsOnError' || record.exitCode === 0) return message;
  return record.logPath ? endOfLog(record.logPath) : '';
}
