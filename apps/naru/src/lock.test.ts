import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { BusyError, lock } from './lock';
import { startTimeOf } from './process-id';

let folder: string;
beforeEach(() => (folder = mkdtempSync(path.join(tmpdir(), 'naru-lock-'))));
afterEach(() => rmSync(folder, { recursive: true }));

test('a lock that is held is refused, with its holder, and free again afterwards', () => {
  const file = path.join(folder, 'lock');
  const unlock = lock(file);
  expect(() => lock(file)).toThrow(BusyError);
  expect(() => lock(file)).toThrow(new RegExp(`another naru command \\(pid ${process.pid}\\)`));
  unlock();
  lock(file)();
});

test('a lock is taken over from a process that ended, though another has its pid now', () => {
  const file = path.join(folder, 'lock');
  writeFileSync(file, `${process.pid} ${(startTimeOf(process.pid) ?? 0) - 1}\n`);
  lock(file)();
  writeFileSync(file, 'half-writ');
  lock(file)();
});
