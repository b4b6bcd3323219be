import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { eventually } from '@naru/foundation/testing';
import { runInKernel, type KernelScriptOptions } from './kernel-script';

/** Where the files of a kernel are that is not this machine's: boot/vmlinuz-VERSION and lib/modules/VERSION. */
const kernelDir = '/var/cache/naru/test-kernel';
const qemu = 'qemu-system-x86_64';
const busybox = '/bin/busybox';
/** Serves this machine's files to the guest. */
const fileServers = ['/usr/lib/qemu/virtiofsd', '/usr/libexec/virtiofsd'];

function kernelVersion(): string | undefined {
  return fs.existsSync(`${kernelDir}/lib/modules`) ? fs.readdirSync(`${kernelDir}/lib/modules`)[0] : undefined;
}

/**
 * Emulated processors count alike, though Linux doubts it and reads a device instead, slowly; and nobody is to be kept out. Without
 * no_timer_check a kernel panics that has not seen enough ticks of its timer, as when a busy machine gives it no turn.
 */
const parameters = 'console=ttyS0 quiet panic=-1 no_timer_check tsc=reliable mitigations=off';

export interface VirtualMachineOptions extends KernelScriptOptions {
  /** So many, with a processor and an equal part of the memory each: 1 (both processors) or 2. */
  numaNodes?: number;
}

/** What keeps this machine from running it; undefined when nothing does. */
export function virtualMachineObstacle(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  const missing = [qemu, 'modprobe', busybox].filter(program => spawnSync('which', [program]).status !== 0);
  if (!fileServers.some(program => fs.existsSync(program))) missing.push('virtiofsd');
  if (missing.length > 0) return `needs ${missing.join(', ')} (Debian: qemu-system-x86, kmod, busybox-static)`;
  return kernelVersion() === undefined ? `needs a kernel in ${kernelDir} (./naru test puts it there)` : undefined;
}

/**
 * Runs a script in a virtual machine with a distribution's kernel, which has what user-mode Linux lacks: IPVS, SCTP and nf_tables for IPv4
 * together. The processor is emulated, so that it runs where there is no KVM: boots in some eight seconds, and programs run ten times slower.
 */
export function runInVirtualMachine({ numaNodes = 1, ...options }: VirtualMachineOptions): Promise<string> {
  const modules = `${kernelDir}/lib/modules`;
  return runInKernel(
    { name: 'the virtual machine', modules, boot: (init, rest) => boot(init, { ...rest, numaNodes }) },
    options,
  );
}

async function boot(
  init: string,
  { memoryMb, timeoutMs, dir, numaNodes }: { memoryMb: number; timeoutMs: number; dir: string; numaNodes: number },
): Promise<string> {
  const version = kernelVersion() ?? '';
  const initrd = makeInitrd(version, init, dir);
  const socket = path.join(dir, 'files.sock');
  const fileServer = fileServers.find(program => fs.existsSync(program)) ?? '';
  const files = spawn(
    fileServer,
    [
      `--socket-path=${socket}`,
      '-o',
      'source=/,cache=always,sandbox=chroot',
      '--rlimit-nofile=0',
      '--thread-pool-size=0',
    ],
    { stdio: 'ignore' },
  );
  try {
    await eventually(() => fs.accessSync(socket));
    const nodes = Array.from({ length: numaNodes }, (_, node) => node);
    const memory = nodes.flatMap(node => [
      ...['-object', `memory-backend-memfd,id=memory${node},size=${memoryMb / numaNodes}M,share=on`],
      ...['-numa', `node,memdev=memory${node}${numaNodes > 1 ? `,cpus=${node}` : ''}`],
    ]);
    const machine = ['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-machine', 'q35'];
    const processor = ['-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '2', '-m', String(memoryMb)];
    const kernel = ['-kernel', `${kernelDir}/boot/vmlinuz-${version}`, '-initrd', initrd];
    const shared = [...memory, '-chardev', `socket,id=files,path=${socket}`];
    const devices = ['-device', 'vhost-user-fs-pci,chardev=files,tag=machine', '-serial', 'stdio'];
    const args = [...machine, ...processor, ...kernel, ...shared, ...devices];
    return await readConsole(spawn(qemu, [...args, '-append', parameters]), timeoutMs);
  } finally {
    if (files.exitCode === null && files.signalCode === null) {
      files.kill();
      await once(files, 'close');
    }
  }
}

async function readConsole(machine: ChildProcess, timeoutMs: number): Promise<string> {
  let text = '';
  for (const stream of [machine.stdout, machine.stderr]) {
    stream?.on('data', (chunk: Buffer) => (text += chunk.toString()));
  }
  const timer = setTimeout(() => machine.kill('SIGKILL'), timeoutMs);
  await once(machine, 'close');
  clearTimeout(timer);
  return text;
}

/** The first files that the kernel sees: the modules by which it sees this machine's, and a program that goes there. */
function makeInitrd(version: string, init: string, dir: string): string {
  const root = path.join(dir, 'initrd');
  const modules = ['virtio_pci', 'virtiofs'].flatMap(name => withNeeds(version, name));
  for (const folder of ['', 'dev', 'machine']) fs.mkdirSync(path.join(root, folder));
  fs.copyFileSync(busybox, path.join(root, 'busybox'));
  for (const file of modules) {
    fs.copyFileSync(`${kernelDir}/lib/modules/${version}/${file}`, path.join(root, path.basename(file)));
  }
  const load = [...new Set(modules)].map(file => `/busybox insmod /${path.basename(file)}`).join('\n');
  const script = `#!/busybox sh
/busybox mount -t devtmpfs dev /dev
${load}
/busybox mount -t virtiofs machine /machine || /busybox poweroff -f
/busybox mount -o move /dev /machine/dev
exec /busybox switch_root /machine ${init}
`;
  fs.writeFileSync(path.join(root, 'init'), script, { mode: 0o755 });
  const names = fs.readdirSync(root).join('\n');
  const { stdout, stderr, status } = spawnSync(busybox, ['cpio', '-o', '-H', 'newc'], {
    cwd: root,
    input: `${names}\n`,
    maxBuffer: 64 * 1024 * 1024,
  });
  if (status !== 0) throw new Error(`busybox cpio failed: ${stderr.toString()}`);
  const file = path.join(dir, 'initrd.cpio');
  fs.writeFileSync(file, stdout);
  return file;
}

/** The files of a module and of those it needs, in the order in which they can be loaded. */
function withNeeds(version: string, name: string): string[] {
  const list = fs.readFileSync(`${kernelDir}/lib/modules/${version}/modules.dep`, 'utf8').split('\n');
  const line = list.find(text => text.includes(`/${name}.ko:`));
  if (line === undefined) throw new Error(`the kernel ${version} has no module ${name}`);
  const [file = '', needs = ''] = line.split(':');
  return [file, ...needs.split(' ').filter(Boolean)].reverse();
}
