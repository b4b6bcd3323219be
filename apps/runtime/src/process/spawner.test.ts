import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { tryCommand, trySteps, useSpawner } from './run-command';
import { mount, namespaceFlags, unshare } from './steps';

describe('the spawner', () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'spawner-'));
  const end = useSpawner(path.join(directory, 'run'));
  afterAll(() => {
    end();
    fs.rmSync(directory, { recursive: true, force: true });
  });

  it('gives exit code and both outputs, whatever the arguments hold', async () => {
    const odd = `it's $HOME "a" \\ \n* ;&|<> \`x\` é`;
    const script = 'printf "%s" "$1"; printf "%s" "$V" >&2; exit 7';
    expect(await tryCommand('sh', ['-c', script, 'sh', odd], { env: { V: odd } })).toEqual({
      code: 7,
      stdout: odd,
      stderr: odd,
    });
    await expect(tryCommand('true', ['a\0b'])).rejects.toThrow('an argument holds a NUL');
  });

  it('passes input and the working directory on', async () => {
    const { stdout } = await tryCommand('sh', ['-c', 'cat; pwd'], { input: 'in\n', cwd: directory });
    expect(stdout).toBe(`in\n${fs.realpathSync(directory)}\n`);
  });

  it('runs many at once, each with its own outcome, and leaves no process behind', async () => {
    const runs = Array.from({ length: 50 }, (_, index) => tryCommand('sh', ['-c', `echo ${index}; exit ${index}`]));
    const results = await Promise.all(runs);
    expect(results.map(({ code }) => code)).toEqual(results.map((_, index) => index));
    expect(results.map(({ stdout }) => stdout)).toEqual(results.map((_, index) => `${index}\n`));
    const { stdout } = await tryCommand('sh', ['-c', 'exec ps --ppid $PPID -o args=']);
    expect(stdout).toMatch(/^ps --ppid \d+ -o args=\n$/);
  });

  it('says of what is not there that it was not found', async () => {
    await expect(tryCommand('/absent/program', [])).rejects.toThrow('/absent/program: not found');
    expect(await tryCommand('sh', ['-c', 'exit 127'])).toMatchObject({ code: 127 });
  });

  it('ends what takes too long', async () => {
    await expect(tryCommand('sleep', ['60'], { timeoutMs: 200 })).rejects.toThrow('sleep did not end within 200 ms');
    expect(await tryCommand('sh', ['-c', 'kill -9 $$'])).toMatchObject({ code: 137 });
    // It may not have begun by then.
    await expect(tryCommand('sleep', ['60'], { timeoutMs: 0 })).rejects.toThrow('sleep did not end within 0 ms');
  });

  it('hands on the line that a program tells by a descriptor, and does not wait for what it leaves behind', async () => {
    const script = 'sleep 600 >/dev/null 2>&1 & echo "$1 $!" >&$TOLD';
    const { code, stdout } = await trySteps('sh', [['told', 'TOLD', 'sh', '-c', script, 'sh', 'said']]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^said \d+\n$/) });
    process.kill(Number(stdout.split(' ')[1]));
  });

  it('makes mounts in namespaces of their own and takes them away, by system calls alone', async () => {
    if (process.getuid?.() !== 0) {
      if (process.env['CI']) throw new Error('needs root');
      return;
    }
    const place = path.join(directory, 'place');
    const name = path.join(directory, 'name');
    fs.mkdirSync(place);
    fs.writeFileSync(name, '');
    const made = await trySteps('mounts', [
      mount('own', place, { type: 'tmpfs', flags: ['nosuid', 'noexec'], data: 'mode=700' }),
      unshare([namespaceFlags.uts, namespaceFlags.net]),
      ['write', '/proc/sys/kernel/hostname', 'of-its-own\n'],
      ['raise', 'lo'],
      mount('/proc/self/ns/uts', name, { flags: ['bind'] }),
      ['exec', 'cat', '/sys/class/net/lo/flags', '/proc/self/mounts'],
    ]);
    expect(made.stdout).toContain(`own ${place} tmpfs rw,nosuid,noexec,relatime,mode=700`);
    const inside = await trySteps('host name', [
      ['enter', name],
      ['exec', 'hostname'],
    ]);
    expect(inside).toEqual({ code: 0, stdout: 'of-its-own\n', stderr: '' });
    expect(await trySteps('again', [mount('own', `${place}/absent`, { type: 'tmpfs' })])).toEqual({
      ...{ code: 1, stdout: '', stderr: `${place}/absent: mount: No such file or directory\n` },
    });
    const gone = await trySteps('unmount', [
      ...[place, name, place, `${place}/absent`].map(each => ['unmount', each] as const),
      ['exec', 'cat', '/proc/self/mounts'],
    ]);
    expect(gone.stdout).not.toContain(directory);
  });
});
