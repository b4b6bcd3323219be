import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { eventually } from '@naru/testing';
import { CommandError } from './command';
import { scriptOf } from './shell';
import { Shells } from './shells';

let dir: string;
let shells: Shells;

beforeEach(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), 'naru-shells-'));
  shells = new Shells();
});
afterEach(() => {
  shells.close();
  jest.useRealTimers();
  // What waits for a file waits no longer.
  fs.rmSync(dir, { recursive: true, force: true });
});

/** A program that ends, with `done`, when the file is there or its folder is gone. */
function untilThere(file: string): Promise<string> {
  return shells.run('sh', ['-c', `while [ -d ${dir} ] && ! [ -e ${file} ]; do sleep 0.05; done; echo done`]);
}

/** The process that runs what is run. */
async function shellPid(): Promise<number> {
  return Number(await shells.run('sh', ['-c', 'echo $PPID']));
}

/** Whether it has not ended, be it that nobody has asked how it did. */
function isRunning(pid: number): boolean {
  const stat = fs.existsSync(`/proc/${pid}`) ? fs.readFileSync(`/proc/${pid}/stat`, 'utf8') : '';
  return stat !== '' && !stat.includes(') Z ');
}

test('a program gets its arguments and its input as they are, and its output is the answer', async () => {
  const words = ["it's", 'a $HOME', '*', '', 'two\nlines', '서비스 ´ÀÈ'];
  expect(await shells.run('printf', ['%s|', ...words])).toBe(words.map(word => `${word}|`).join(''));
  const lines = "one\n$two `three`\\\n'four' 서비스 ´ÀÈ\n";
  expect(await shells.run('cat', [], lines)).toBe(lines);
  expect(await shells.run('cat', [], 'without an end')).toBe('without an end\n');
  expect(await shells.run('cat', [])).toBe('');
});

test('input and output may be large', async () => {
  const lines = Array.from({ length: 100_000 }, (_, index) => `-a -t 10.96.0.1:80 -r 10.244.0.1:${index}\n`).join('');
  expect((await shells.run('cat', [], lines)) === lines).toBe(true);
});

test('of an input that is cut off nothing is run', () => {
  const script = scriptOf(['cat'], 'one\ntwo\n', 'the-end');
  const outputOf = (input: string): string => spawnSync('sh', { input, encoding: 'utf8' }).stdout;
  expect(outputOf(script)).toBe('one\ntwo\nthe-end 000\n');
  const cut = [
    script.indexOf('<<'),
    script.indexOf('one') + 2,
    script.indexOf('two'),
    script.lastIndexOf('the-end\n'),
    script.indexOf('}'),
  ];
  for (const length of cut) expect(outputOf(script.slice(0, length))).toBe('');
});

test('a program that fails is told of with its exit code and its own words', async () => {
  const failure = shells.run('sh', ['-c', 'echo so >&2; echo nothing; exit 3']);
  await expect(failure).rejects.toMatchObject({ message: 'sh failed with exit code 3: so', missing: false });
  const long = shells.run('sh', ['-c', 'yes | head -c 9000 >&2; exit 1']);
  await expect(long).rejects.toMatchObject({ stderr: `${'y\n'.repeat(2048)}`.trim() });
  const words = await shells.run('sh', ['-c', 'echo and its next hears nothing of that']);
  expect(words).toBe('and its next hears nothing of that\n');
});

test('a program that is not installed is told of as missing', async () => {
  const failure = shells.run('naru-has-no-such-program', ['--now']);
  await expect(failure).rejects.toBeInstanceOf(CommandError);
  await expect(failure).rejects.toMatchObject({ missing: true, message: expect.stringContaining('not found') });
});

test('one shell runs what comes one after the other', async () => {
  const first = await shellPid();
  expect(await shellPid()).toBe(first);
});

test('a program that takes its time keeps no other waiting, until as many run as may', async () => {
  const limit = 2;
  shells = new Shells({ limit });
  const file = path.join(dir, 'go');
  const slow = untilThere(file);
  expect(await shells.run('echo', ['at once'])).toBe('at once\n');
  const also = untilThere(file);
  const late = shells.run('echo', ['after one of them']);
  fs.writeFileSync(file, '');
  expect(await Promise.all([slow, also, late])).toEqual(['done\n', 'done\n', 'after one of them\n']);
});

test('a program that takes too long is killed, and the next is run', async () => {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask', 'performance', 'Date'] });
  const timeoutMs = 60_000;
  shells = new Shells({ timeoutMs });
  const file = path.join(dir, 'pid');
  const slow = shells.run('sh', ['-c', `echo $$ >${file}; while [ -d ${dir} ]; do sleep 0.05; done`]);
  const failure = expect(slow).rejects.toThrow(`sh failed: it took longer than ${timeoutMs} ms`);
  const pid = Number(await shells.run('sh', ['-c', `until [ -s ${file} ]; do sleep 0.05; done; cat ${file}`]));
  expect(isRunning(pid)).toBe(true);
  jest.advanceTimersByTime(timeoutMs);
  jest.useRealTimers();
  await failure;
  await eventually(() => expect(isRunning(pid)).toBe(false));
  expect(await shells.run('echo', ['next'])).toBe('next\n');
});

test('when a shell has ended, its program has failed once it has ended too, and the next is run by another', async () => {
  const pid = await shellPid();
  const file = path.join(dir, 'go');
  const slow = untilThere(file);
  process.kill(pid, 'SIGKILL');
  fs.writeFileSync(file, '');
  await expect(slow).rejects.toThrow('sh failed: the shell that ran it has ended');
  expect(await shellPid()).not.toBe(pid);
});

test('closing lets a program end that runs, starts no other, also none that waits, and leaves no shell', async () => {
  shells = new Shells({ limit: 1 });
  const file = path.join(dir, 'go');
  const pid = await shellPid();
  const slow = untilThere(file);
  const waiting = [shells.run('true', []), shells.run('true', [])];
  shells.close();
  const refused = [...waiting, shells.run('true', [])];
  await Promise.all(refused.map(each => expect(each).rejects.toThrow('true failed: no more programs are run')));
  fs.writeFileSync(file, '');
  expect(await slow).toBe('done\n');
  await eventually(() => expect(isRunning(pid)).toBe(false));
});
