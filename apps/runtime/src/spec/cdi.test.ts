import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { CdiRegistry } from './cdi';
import type { CdiFile, ContainerEdits } from './cdi-file';

let root: string;
const warnings: string[] = [];

beforeEach(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), 'cdi-'));
  warnings.length = 0;
});
afterEach(() => fs.rmSync(root, { recursive: true }));

function put(place: string, file: Partial<CdiFile>): void {
  const target = path.join(root, place);
  fs.mkdirSync(path.dirname(target), { recursive: true });
  fs.writeFileSync(target, JSON.stringify({ cdiVersion: '0.6.0', kind: 'example.com/gpu', ...file }));
}
const device = (name: string, ...env: string[]) => ({ name, containerEdits: { env } });
const registry = (): CdiRegistry =>
  new CdiRegistry([path.join(root, 'etc'), path.join(root, 'run')], (_file, err) =>
    warnings.push((err as Error).message),
  );

test('a device is what the last folder says, and nothing when two files of one folder say it', async () => {
  put('etc/a.json', {
    devices: [device('0', 'FROM=etc'), device('1', 'FROM=etc')],
    containerEdits: { env: ['ALL=etc'] },
  });
  put('run/a.json', { devices: [device('1', 'FROM=run'), device('2', 'FROM=a')] });
  put('run/b.json', { devices: [device('2', 'FROM=b')] });
  const edits = await registry().editsFor(['example.com/gpu=0', 'example.com/gpu=1', 'example.com/gpu=0']);
  expect(edits.flatMap(({ env }) => env ?? [])).toEqual(['ALL=etc', 'FROM=etc', 'FROM=run']);
  await expect(registry().editsFor(['example.com/gpu=2', 'example.com/gpu=3'])).rejects.toThrow(
    'CDI device injection failed: unresolvable CDI devices example.com/gpu=2, example.com/gpu=3',
  );
  expect(warnings).toContain('conflicting device "example.com/gpu=2"');
});

const withEdits = (containerEdits: ContainerEdits): Partial<CdiFile> => ({ devices: [{ name: '0', containerEdits }] });

test.each<[string, Partial<CdiFile>]>([
  ['unknown cdiVersion "9.0.0"', { cdiVersion: '9.0.0', devices: [device('0', 'A=b')] }],
  ['invalid kind "gpu": must be VENDOR/CLASS', { kind: 'gpu', devices: [device('0', 'A=b')] }],
  ['invalid spec, no devices', {}],
  ['invalid spec, multiple device "0"', { devices: [device('0', 'A=b'), device('0', 'A=b')] }],
  ['invalid device "0", empty device edits', withEdits({})],
  ['invalid environment variable "A"', withEdits({ env: ['A'] })],
  ['device "/dev/a": invalid permissions "rx"', withEdits({ deviceNodes: [{ path: '/dev/a', permissions: 'rx' }] })],
  [
    'device "/dev/a": invalid (negative) device number -1:0',
    withEdits({ deviceNodes: [{ path: '/dev/a', major: -1 }] }),
  ],
  ['invalid hook name "later"', withEdits({ hooks: [{ hookName: 'later', path: '/bin/true' }] })],
  ['invalid mount, empty container path', withEdits({ mounts: [{ hostPath: '/a', containerPath: '' }] })],
])('a file that makes no sense describes nothing, and its fault is told: %s', async (fault, file) => {
  put('etc/a.json', file);
  await expect(registry().editsFor(['example.com/gpu=0'])).rejects.toThrow(/unresolvable CDI devices/);
  expect(warnings).toEqual([fault]);
});

test('what is no file, and would keep its reader waiting, is passed over', async () => {
  put('etc/b.json', { devices: [device('0', 'A=b')] });
  execFileSync('mkfifo', [path.join(root, 'etc/a.json')]);
  expect(await registry().editsFor(['example.com/gpu=0'])).toHaveLength(2);
  expect(warnings).toEqual(['is no regular file']);
});
