import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { endWithReader } from './closed-output';

test('a program ends quietly when the reader of its output has left', async () => {
  const reader = spawn('sh', ['-c', 'exec 0<&-; echo left; exec cat /dev/zero'], { stdio: ['pipe', 'pipe', 'ignore'] });
  const ended = new Promise<number>(resolve => endWithReader(reader.stdin, resolve));
  await once(reader.stdout, 'data');
  reader.stdin.write('nobody reads this\n');
  expect(await ended).toBe(141);
  reader.kill('SIGKILL');
});

test('a program does not hide other failures of its output', () => {
  const { stdin } = spawn('true', { stdio: ['pipe', 'ignore', 'ignore'] });
  endWithReader(stdin, () => undefined);
  expect(() => stdin.emit('error', Object.assign(new Error('disk full'), { code: 'ENOSPC' }))).toThrow('disk full');
});
