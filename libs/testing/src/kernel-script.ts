import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { systemdInit } from './systemd-init';

export interface KernelScriptOptions {
  /** Kernel modules that are loaded first, besides those that the kernel loads by itself. One that does not exist fails the run. */
  modules?: readonly string[];
  /** Lines of a shell script, which sees this machine's files, with a /run and a TMPDIR of its own. */
  script: string;
  memoryMb?: number;
  /** With systemd as the first process, the bus, and cgroups of version 2. */
  systemd?: boolean;
  timeoutMs?: number;
}

/** One way of starting a kernel of its own that sees this machine's files. */
export interface KernelBooter {
  /** For what is said when it fails. */
  name: string;
  /** The folder, or pattern of one, whose subfolders are the modules of kernels by version. */
  modules: string;
  /** Runs the program `init` as the first process, and answers what the console said once the kernel has halted. */
  boot: (init: string, options: { memoryMb: number; timeoutMs: number; dir: string }) => Promise<string>;
}

const end = '=== the script has ended with ';

/** Runs a script and answers what it printed; fails with that when the script failed or did not end in time. */
export async function runInKernel(
  { name, modules: moduleDir, boot }: KernelBooter,
  options: KernelScriptOptions,
): Promise<string> {
  const { modules = [], script, memoryMb = 512, systemd = false, timeoutMs = 120_000 } = options;
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'naru-kernel-'));
  try {
    const init = path.join(dir, 'init');
    const work = path.join(dir, 'work');
    fs.writeFileSync(work, workScript(modules, script, { dir, moduleDir }), { mode: 0o755 });
    fs.writeFileSync(init, initScript(systemd ? `${unified}\n${systemdInit(work)}` : `exec ${work}`), { mode: 0o755 });
    const console = await boot(init, { memoryMb, timeoutMs, dir });
    const output = fs.existsSync(path.join(dir, 'output')) ? fs.readFileSync(path.join(dir, 'output'), 'utf8') : '';
    const at = output.lastIndexOf(end);
    if (at < 0) throw new Error(`${name} ended before the script did:\n${output}\n${console}`);
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
function workScript(
  modules: readonly string[],
  script: string,
  { dir, moduleDir }: { dir: string; moduleDir: string },
): string {
  const load = modules.map(name => `modprobe -d /run/modules ${name}`).join('\n');
  return `#!/bin/sh
exec > ${dir}/output 2>&1
export PATH=${process.env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin:/sbin HOME=/root LC_ALL=C TMPDIR=/run/tmp
mkdir -p /run/modules/lib/modules /run/tmp
ln -s ${moduleDir}/* /run/modules/lib/modules/
# What the kernel itself asks for, it asks this one for.
printf '#!/bin/sh\\nexec modprobe -d /run/modules "$@"\\n' > /run/modprobe
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
