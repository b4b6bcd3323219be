import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { eventually } from '@naru/testing';
import { ExecTimeoutError, execSync, killSoon } from './exec';

test('a command whose time is over before it has begun is killed when it begins', async () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'runtime-exec-'));
  const [go, pid] = [path.join(directory, 'go'), path.join(directory, 'pid')];
  // As an OCI runtime: it starts the command, tells its number, and waits for its end.
  const script = `until [ -e ${go} ]; do sleep 0.01; done; sleep 600 & echo $! > ${pid}.new; mv ${pid}.new ${pid}; wait`;
  let killed = false;
  const running = execSync(
    {
      ...{ program: 'sh', args: ['-c', script], failure: () => undefined, dispose: () => undefined },
      kill: () => {
        fs.writeFileSync(go, '');
        return (killed = fs.existsSync(pid) && process.kill(Number(fs.readFileSync(pid, 'utf8')), 'SIGKILL'));
      },
    },
    1,
  );
  await expect(running).rejects.toThrow(ExecTimeoutError);
  expect(killed).toBe(true);
  fs.rmSync(directory, { recursive: true });
});

test('a command that has ended in time is in time, however long a child in the background holds its outputs', async () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'runtime-exec-'));
  const script = `while [ -e ${directory} ]; do sleep 0.1; done & echo done`;
  const prepared = { program: 'sh', args: ['-c', script], failure: () => undefined, dispose: () => undefined };
  let kills = 0;
  try {
    // On a machine that stood still it may rightly be too late.
    const { stdout, exitCode } = await eventually(() => {
      kills = 0;
      return execSync({ ...prepared, kill: () => kills++ > 0 }, 500);
    });
    expect([stdout.toString(), exitCode, kills]).toEqual(['done\n', 0, 0]);
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
});

test('a command whose OCI runtime could not be spawned is not killed for ever', async () => {
  const child = spawn('/no/such/runtime');
  await once(child, 'error');
  const kill = jest.fn(() => false);
  killSoon({ program: '', args: [], failure: () => undefined, dispose: () => undefined, kill }, child);
  expect(kill).not.toHaveBeenCalled();
});
