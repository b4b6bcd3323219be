import { spawn, spawnSync } from 'node:child_process';
import { runInKernel, type KernelScriptOptions } from './kernel-script';

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
export function runInUserModeLinux(options: KernelScriptOptions): Promise<string> {
  const modules = '/usr/lib/uml/modules';
  return runInKernel({ name: 'user-mode Linux', modules, boot }, options);
}

function boot(init: string, { memoryMb, timeoutMs }: { memoryMb: number; timeoutMs: number }): Promise<string> {
  const root = ['root=/dev/root', 'rootfstype=hostfs', 'rootflags=/', 'rw', 'quiet', 'con=null', 'con0=null,fd:1'];
  return new Promise((resolve, reject) => {
    // A session of its own: it starts processes, which end with it.
    const child = spawn('linux.uml', [...root, `mem=${memoryMb}M`, `init=${init}`], {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
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
