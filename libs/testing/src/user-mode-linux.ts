import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { systemdInit } from './systemd-init';

export interface UserModeLinuxOptions {
  /** Kernel modules that are loaded first, besides those that the kernel loads by itself. One that does not exist fails the run. */
  modules?: readonly string[];
  /** Lines of a shell script, which sees this machine's files, with a /run and a TMPDIR of its own. */
  script: string;
  memoryMb?: number;
  /** With systemd as the first process, the bus, and cgroups of version 2. */
  systemd?: boolean;
  timeoutMs?: number;
}

const end = '=== the script has ended with ';

/** What keeps this machine from running it; undefined when nothing does. */
export function userModeLinuxObstacle(needs: { systemd?: boolean } = {}): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  const programs = ['linux.uml', 'modprobe', ...(needs.systemd ? ['/lib/systemd/systemd', 'dbus-daemon'] : [])];
  const missing = programs.filter(program => spawnSync('which', [program]).status !== 0);
  const packages = `user-mode-linux, kmod${needs.systemd ? ', systemd, dbus' : ''}`;
  return missing.length > 0 ? `needs ${missing.join(', ')} (Debian: ${packages})` : undefined;
}

/**
 * Runs a script in a Linux kernel of its own, as an ordinary process: for what this machine's kernel lacks. Answers what the script
 * printed; fails with that when the script failed or did not end in time. Boots in some three seconds; programs run several times slower.
 */
export async function runInUserModeLinux(options: UserModeLinuxOptions): Promise<string> {
  const { modules = [], script, memoryMb = 512, systemd = false, timeoutMs = 120_000 } = options;
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'naru-uml-'));
  try {
    const init = path.join(dir, 'init');
    const work = path.join(dir, 'work');
    fs.writeFileSync(work, workScript(modules, script, dir), { mode: 0o755 });
    fs.writeFileSync(init, initScript(systemd ? `${unified}\n${systemdInit(work)}` : `exec ${work}`), { mode: 0o755 });
    const console = await boot([`mem=${memoryMb}M`, `init=${init}`], timeoutMs);
    const output = fs.existsSync(path.join(dir, 'output')) ? fs.readFileSync(path.join(dir, 'output'), 'utf8') : '';
    const at = output.lastIndexOf(end);
    if (at < 0) throw new Error(`user-mode Linux ended before the script did:\n${output}\n${console}`);
    if (output.slice(at + end.length).trim() !== '0') throw new Error(`the script failed:\n${output}`);
    return output.slice(0, at);
  } finally {
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

const unified = 'mount -t cgroup2 cgroup2 /sys/fs/cgroup';

/** The first process. */
function initScript(then: string): string {
  return `#!/bin/sh
export PATH=${process.env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin:/sbin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmpfs /run
${then}
`;
}

/** Its output goes to a file: the console's is mixed with the kernel's. */
function workScript(modules: readonly string[], script: string, dir: string): string {
  const load = modules.map(name => `modprobe -d /run/modules ${name}`).join('\n');
  return `#!/bin/sh
exec > ${dir}/output 2>&1
export PATH=${process.env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin:/sbin HOME=/root LC_ALL=C TMPDIR=/run/tmp
mkdir -p /run/modules/lib/modules /run/tmp
ln -s /usr/lib/uml/modules/* /run/modules/lib/modules/
# What the kernel itself asks for, it asks this one for.
printf '#!/bin/sh\nexec modprobe -d /run/modules "$@"\n' > /run/modprobe
chmod +x /run/modprobe
echo /run/modprobe > /proc/sys/kernel/modprobe
ip link set lo up
(
set -e
${load}
${script}
)
echo "${end}$?"
sync
echo o > /proc/sysrq-trigger
sleep 60
`;
}

function boot(parameters: readonly string[], timeoutMs: number): Promise<string> {
  const fixed = ['root=/dev/root', 'rootfstype=hostfs', 'rootflags=/', 'rw', 'quiet', 'con=null', 'con0=null,fd:1'];
  return new Promise((resolve, reject) => {
    // A session of its own: it starts processes, which end with it.
    const child = spawn('linux.uml', [...fixed, ...parameters], { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    let text = '';
    const timer = setTimeout(() => process.kill(-(child.pid as number), 'SIGKILL'), timeoutMs);
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
    child.on('error', reject);
    child.on('close', () => {
      clearTimeout(timer);
      resolve(text);
    });
  });
}
