import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { eventually } from '@naru/testing';
import { CommandShell } from './command-shell';

describe('the command shell', () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'shell-'));
  const shell = new CommandShell(path.join(directory, 'run'));
  afterAll(() => {
    shell.close();
    fs.rmSync(directory, { recursive: true, force: true });
  });

  it('gives exit code and both outputs, whatever the arguments hold', async () => {
    const odd = `it's $HOME "a" \\ \n* ;&|<> \`x\` é`;
    const script = 'printf "%s" "$1"; printf "%s" "$V" >&2; exit 7';
    expect(await shell.run('sh', ['-c', script, 'sh', odd], { env: { V: odd } })).toEqual({
      code: 7,
      stdout: odd,
      stderr: odd,
    });
  });

  it('passes input and the working directory on', async () => {
    const { stdout } = await shell.run('sh', ['-c', 'cat; pwd'], { input: 'in\n', cwd: directory });
    expect(stdout).toBe(`in\n${fs.realpathSync(directory)}\n`);
  });

  it('runs many at once, each with its own outcome, and leaves no process behind', async () => {
    const runs = Array.from({ length: 50 }, (_, index) => shell.run('sh', ['-c', `echo ${index}; exit ${index}`], {}));
    const results = await Promise.all(runs);
    expect(results.map(({ code }) => code)).toEqual(results.map((_, index) => index));
    expect(results.map(({ stdout }) => stdout)).toEqual(results.map((_, index) => `${index}\n`));
    await eventually(async () => {
      const { stdout } = await shell.run('sh', ['-c', 'ps --ppid "$(ps -o ppid= -p $PPID | tr -d " ")" -o stat='], {});
      // Itself, and what ended since the last command.
      expect(stdout.trim().split('\n').length).toBeLessThanOrEqual(4);
    });
  });

  it('says of what is not there that it was not found', async () => {
    await expect(shell.run('/absent/program', [], {})).rejects.toThrow('/absent/program: not found');
    expect(await shell.run('sh', ['-c', 'exit 127'], {})).toMatchObject({ code: 127 });
  });

  it('ends what takes too long', async () => {
    await expect(shell.run('sleep', ['60'], { timeoutMs: 200 })).rejects.toThrow('sleep did not end within 200 ms');
    expect(await shell.run('sh', ['-c', 'kill -9 $$'], {})).toMatchObject({ code: 137 });
    // The shell itself may come to it only later.
    await expect(shell.run('sleep', ['60'], { timeoutMs: 0 })).rejects.toThrow('sleep did not end within 0 ms');
  });
});
