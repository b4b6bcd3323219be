import { StatusError } from '@naru/foundation';

const ipcSysctls = /^(kernel\.(shm[a-z_]+|msg[a-z_]+|sem)|fs\.mqueue\.[a-z_]+)$/;

/**
 * Checks the kernel parameters of a sandbox and returns their files under /proc/sys. Only those that belong to a namespace of the
 * sandbox's own are allowed: any other would change the node. Throws BadRequest. Source: opencontainers/runc, validate/validator.go.
 */
export function sysctlFiles(
  sysctls: Record<string, string>,
  own: { network: boolean; ipc: boolean },
): [file: string, value: string][] {
  return Object.entries(sysctls).map(([name, value]) => {
    // Both separators are in use; with slashes, a dot is part of an interface's name.
    const slashed = /^[^.]*\//.test(name) ? name : name.replace(/[./]/g, letter => (letter === '.' ? '/' : '.'));
    const dotted = slashed.replaceAll('/', '.');
    const allowed = (own.network && dotted.startsWith('net.')) || (own.ipc && ipcSysctls.test(dotted));
    if (!allowed || slashed.split('/').some(part => part === '' || part === '..' || part === '.')) {
      throw new StatusError('BadRequest', `sysctl "${name}" is not allowed: it is not in a namespace of the pod's own`);
    }
    return [`/proc/sys/${slashed}`, value];
  });
}
