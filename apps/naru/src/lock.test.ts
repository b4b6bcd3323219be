import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buildSync } from 'esbuild';
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
  const holder = spawn('flock', ['--no-fork', file, 'sh', '-c', 'echo held; exec sleep 1000']);
  try {
    // Not earlier: it might wait for a file that we have removed.
    await once(holder.stdout, 'data');
    expect(() => lock(file)).toThrow(BusyError);
  } finally {
    holder.kill('SIGKILL');
  }
  await eventually(() => lock(file)());
});

test('a file that somebody has left is no lock, whatever is in it', () => {
  writeFileSync(file, `${process.pid}\n`);
  lock(file)();
});

test('of several processes that want it all the time one has it', async () => {
  const rounds = 10;
  const critical = JSON.stringify(path.join(folder, 'critical'));
  const contents = `
    import { mkdirSync, rmdirSync } from 'node:fs';
    import { BusyError, lock } from './lock';
    for (let had = 0; had < ${rounds}; ) {
      try {
        const unlock = lock(${JSON.stringify(file)});
        // Fails when another is in here.
        mkdirSync(${critical});
        rmdirSync(${critical});
        unlock();
        had++;
      } catch (error) {
        if (!(error instanceof BusyError)) throw error;
      }
    }`;
  const outfile = path.join(folder, 'program.js');
  buildSync({ stdin: { contents, resolveDir: __dirname, loader: 'ts' }, outfile, bundle: true, platform: 'node' });
  const ends = Array.from({ length: 3 }, () => once(spawn(process.execPath, [outfile], { stdio: 'inherit' }), 'close'));
  expect((await Promise.all(ends)).map(([code]) => code as number)).toEqual([0, 0, 0]);
  lock(file)();
});
