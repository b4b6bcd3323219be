import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { eventually } from '@naru/testing';
import { BusyError, lock } from './lock';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'naru-lock-'));
  file = path.join(folder, 'lock');
});
afterEach(() => rmSync(folder, { recursive: true }));

test('a lock that is held is refused, with its holder, and free again afterwards', () => {
  const unlock = lock(file);
  expect(() => lock(file)).toThrow(BusyError);
  expect(() => lock(file)).toThrow(new RegExp(`another naru command \\(pid ${process.pid}\\)`));
  unlock();
  lock(file)();
});

test('a lock is free when the process that had it has been killed', async () => {
  const holder = spawn('flock', ['--no-fork', file, 'sleep', '1000'], { stdio: 'ignore' });
  try {
    await eventually(() => expect(() => lock(file)()).toThrow(BusyError));
  } finally {
    holder.kill('SIGKILL');
  }
  await eventually(() => lock(file)());
});

test('a file that somebody has left is no lock, whatever is in it', () => {
  writeFileSync(file, `${process.pid}\n`);
  lock(file)();
});
