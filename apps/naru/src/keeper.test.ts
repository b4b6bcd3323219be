import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readService, runScript, script, signal, startService, stopService, writeService } from './keeper';
import { isRunning, type ProcessId } from './process-id';
import { waitFor } from './wait';

const patience = { timeoutMs: 90_000 };
let folder: string;
let services: string;
const log = (): string => path.join(folder, 'logs/p.log');
const state = (): ReturnType<typeof readService> => readService(path.join(services, 'p'));
const running = (): Promise<ProcessId> =>
  waitFor(
    'the process',
    () => {
      const { process: kept } = state();
      return kept && isRunning(kept) ? kept : undefined;
    },
    { ...patience, everyMs: 10 },
  );

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'naru-keep-'));
  services = path.join(folder, 'services');
});
afterEach(async () => {
  await stopService(services, 'watch');
  await stopService(services, 'p');
  // A keeper that `watch` has started last may still find out that it is not needed.
  rmSync(folder, { recursive: true, maxRetries: 10 });
});

function start(...argv: string[]): void {
  writeService(services, { name: 'p', argv, log: log() });
  startService(services, 'p');
}

test('arguments and environment reach the process as they are', () => {
  const text = runScript({ name: 'p', argv: ['echo', "it's", 'a b', '$HOME'], environment: { A: 'x y' } });
  expect(text).toBe(`#!/bin/sh\nexport A='x y'\nexec echo 'it'\\''s' 'a b' '$HOME'\n`);
});

test('a process that is killed is started again, and its end is written down', async () => {
  start('sh', '-c', 'echo started; exec sleep 600');
  const first = await running();
  const started = (times: number) =>
    waitFor('its output', () => readFileSync(log(), 'utf8').match(/started/g)?.length === times, patience);
  await started(1);
  signal(first, 'SIGKILL');
  await waitFor('another process', async () => (await running()).pid !== first.pid, patience);
  expect(state()).toMatchObject({ restarts: 1, lastExit: '137' });
  await started(2);
});

test('stopping ends the process with TERM, then the keeper', async () => {
  start('sh', '-c', 'trap "echo bye; kill $!; exit 0" TERM; sleep 600 & wait');
  const kept = await running();
  const { keeper } = state();
  await waitFor('the trap', () => readFileSync(`/proc/${kept.pid}/task/${kept.pid}/children`, 'utf8'), patience);
  await stopService(services, 'p');
  expect(isRunning(kept)).toBe(false);
  expect(keeper && isRunning(keeper)).toBe(false);
  expect(readFileSync(log(), 'utf8')).toMatch(/bye/);
});

test('a second keeper of the same process gives way', async () => {
  start('sleep', '600');
  const first = await running();
  const second = spawn(script('keep'), [path.join(services, 'p')], { stdio: 'ignore' });
  expect(await new Promise(resolve => second.on('exit', resolve))).toBe(0);
  expect(state().process).toEqual(first);
});

test('a keeper that is killed is replaced by one that takes the running process over', async () => {
  start('sleep', '600');
  const kept = await running();
  const { keeper } = state();
  writeService(services, { name: 'watch', argv: [script('watch'), folder] });
  startService(services, 'watch');
  signal(keeper as ProcessId, 'SIGKILL');
  await waitFor('another keeper', () => state().keeper && state().keeper?.pid !== keeper?.pid, patience);
  expect(await running()).toEqual(kept);
  signal(kept, 'SIGKILL');
  await waitFor('another process', async () => (await running()).pid !== kept.pid, patience);
});

test('a state file of a process that ended long ago is not believed', async () => {
  writeService(services, { name: 'p', argv: ['sleep', '600'] });
  writeFileSync(path.join(services, 'p', 'state'), `${process.pid} 1 7 -\n`);
  startService(services, 'p');
  expect((await running()).pid).not.toBe(process.pid);
});

test('a service folder that is not there is stopped already', async () => {
  await stopService(services, 'nothing');
  expect(existsSync(services)).toBe(false);
});
