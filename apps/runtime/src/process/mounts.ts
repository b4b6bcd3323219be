import fs from 'node:fs';
import path from 'node:path';
import { runSteps } from './run-command';
import { mount, type Step } from './steps';

export interface MountPoint {
  path: string;
  type: string;
  source: string;
  /** Of the mount: nosuid, ro and the like. */
  options: string[];
  /** The filesystem's own options: for cgroup v1 its controllers. */
  superOptions: string[];
  /** True when mounts under it reach a peer group. */
  shared: boolean;
  /** True when mounts of a peer group reach it. */
  slave: boolean;
}

function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
}

/** The mounts of this process's mount namespace, in order. Format: proc(5), /proc/PID/mountinfo. */
export function listMounts(): MountPoint[] {
  return fs
    .readFileSync('/proc/self/mountinfo', 'utf8')
    .trimEnd()
    .split('\n')
    .map(line => {
      const [left = '', right = ''] = line.split(' - ');
      const fields = left.split(' ');
      const [type = '', source = '', superOptions = ''] = right.split(' ');
      const tags = fields.slice(6);
      return {
        path: unescape(fields[4] ?? ''),
        type,
        source: unescape(source),
        options: (fields[5] ?? '').split(','),
        superOptions: superOptions.split(','),
        shared: tags.some(tag => tag.startsWith('shared:')),
        slave: tags.some(tag => tag.startsWith('master:')),
      };
    });
}

/** The mount that a path lies on: the last one whose mount point holds it. */
export function mountOf(file: string): MountPoint | undefined {
  const real = fs.realpathSync(file);
  let best: MountPoint | undefined;
  for (const mount of listMounts()) {
    const holds = mount.path === '/' || real === mount.path || real.startsWith(`${mount.path}/`);
    if (holds && (!best || mount.path.length >= best.path.length)) best = mount;
  }
  return best;
}

/** Mounts an overlay. Relative lower directories are looked up in `cwd`, which keeps long lists under the one-page limit. */
export async function mountOverlay(target: string, options: string, cwd: string): Promise<void> {
  await runSteps('mount', [['chdir', cwd], mount('overlay', target, { type: 'overlay', data: options })]);
}

/** Unmounts what is mounted at the given paths, lazily when busy; paths without a mount are passed over. */
export async function unmount(...paths: string[]): Promise<void> {
  if (paths.length === 0) return;
  await runSteps(
    'umount',
    paths.map(target => ['unmount', path.resolve(target)] satisfies Step),
  );
}
