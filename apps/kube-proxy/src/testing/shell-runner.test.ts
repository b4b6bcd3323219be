import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ShellRunner } from './shell-runner';

let dir: string;
let shell: ShellRunner;

beforeEach(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), 'naru-shell-'));
  shell = new ShellRunner({ dir, timeoutMs: 60_000 });
});
afterEach(() => {
  shell.close();
  fs.rmSync(dir, { recursive: true, force: true });
});

test('a program gets its arguments and its input as they are, and its output is the answer', async () => {
  const words = ["it's", 'a $HOME', '*', ''];
  expect(await shell.run('printf', ['%s|', ...words])).toBe(words.map(word => `${word}|`).join(''));
  expect(await shell.run('cat', [], 'one\n$two\n')).toBe('one\n$two\n');
  expect(await shell.run('cat', [])).toBe('');
  expect(fs.readdirSync(dir)).toEqual([]);
});

test('a program that fails is told of with its exit code and its own words', async () => {
  await expect(shell.run('sh', ['-c', 'echo so >&2; exit 3'])).rejects.toThrow('sh failed with exit code 3: so');
});

test('a program that takes its time keeps no other waiting', async () => {
  const file = path.join(dir, 'go');
  const slow = shell.run('sh', ['-c', `while ! [ -e ${file} ]; do sleep 0.1; done; echo done`]);
  expect(await shell.run('echo', ['at once'])).toBe('at once\n');
  fs.writeFileSync(file, '');
  expect(await slow).toBe('done\n');
});

test('once the shell has ended, every program has failed', async () => {
  // It has lost its shell then, and ends with the folder.
  const slow = shell.run('sh', ['-c', `while [ -d ${dir} ]; do sleep 0.1; done`]);
  const failure = expect(slow).rejects.toThrow('sh failed');
  // The parent of the program's parent, which is the part of the shell that waits for it.
  const pid = await shell.run('sh', ['-c', 'cut -d" " -f4 /proc/$PPID/stat']);
  process.kill(Number(pid), 'SIGKILL');
  await failure;
  await expect(shell.run('true', [])).rejects.toThrow('true failed');
});
