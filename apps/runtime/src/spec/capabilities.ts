import fs from 'node:fs';
import type { cri } from '@naru/proto';
import { StatusError } from '@naru/foundation';
import type { OciCapabilities } from './oci-types';

/** In the order of their bits: linux/capability.h. */
const names = [
  'CHOWN', 'DAC_OVERRIDE', 'DAC_READ_SEARCH', 'FOWNER', 'FSETID', 'KILL', 'SETGID', 'SETUID', 'SETPCAP', 'LINUX_IMMUTABLE',
  'NET_BIND_SERVICE', 'NET_BROADCAST', 'NET_ADMIN', 'NET_RAW', 'IPC_LOCK', 'IPC_OWNER', 'SYS_MODULE', 'SYS_RAWIO', 'SYS_CHROOT',
  'SYS_PTRACE', 'SYS_PACCT', 'SYS_ADMIN', 'SYS_BOOT', 'SYS_NICE', 'SYS_RESOURCE', 'SYS_TIME', 'SYS_TTY_CONFIG', 'MKNOD', 'LEASE',
  'AUDIT_WRITE', 'AUDIT_CONTROL', 'SETFCAP', 'MAC_OVERRIDE', 'MAC_ADMIN', 'SYSLOG', 'WAKE_ALARM', 'BLOCK_SUSPEND', 'AUDIT_READ',
  'PERFMON', 'BPF', 'CHECKPOINT_RESTORE',
].map(name => `CAP_${name}`); // prettier-ignore

/** What a container gets that asks for nothing: containerd's and Docker's default. */
const defaults = [
  'CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_FSETID', 'CAP_FOWNER', 'CAP_MKNOD', 'CAP_NET_RAW', 'CAP_SETGID', 'CAP_SETUID', 'CAP_SETFCAP',
  'CAP_SETPCAP', 'CAP_NET_BIND_SERVICE', 'CAP_SYS_CHROOT', 'CAP_KILL', 'CAP_AUDIT_WRITE',
]; // prettier-ignore

/** The capabilities that this process could ever have; it cannot give others away. */
export function boundingSet(status = fs.readFileSync('/proc/self/status', 'utf8')): string[] {
  const mask = BigInt(`0x${/^CapBnd:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`);
  return names.filter((_, bit) => (mask >> BigInt(bit)) & 1n);
}

function canonical(name: string): string {
  const upper = name.toUpperCase();
  const full = upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
  if (!names.includes(full)) throw new StatusError('BadRequest', `unknown capability "${name}"`);
  return full;
}

function isAll(name: string): boolean {
  return name.toUpperCase() === 'ALL' || name.toUpperCase() === 'CAP_ALL';
}

/**
 * The capability sets of a container. Every one is intersected with the bounding set: the OCI runtime fails on a capability
 * that it does not have itself. A user other than root gets them in its bounding and inheritable sets only through ambient ones.
 */
export function containerCapabilities(
  request: { privileged: boolean; capability: cri.Capability | undefined },
  bounding: readonly string[],
): OciCapabilities {
  const {
    addCapabilities: add = [],
    dropCapabilities: drop = [],
    addAmbientCapabilities: ambient = [],
  } = request.capability ?? {};
  let granted = new Set(request.privileged || add.some(isAll) ? names : defaults);
  if (!request.privileged) {
    if (drop.some(isAll)) granted = new Set(add.some(isAll) ? names : []);
    for (const name of [...add, ...ambient]) if (!isAll(name)) granted.add(canonical(name));
    for (const name of drop) if (!isAll(name)) granted.delete(canonical(name));
  }
  const allowed = bounding.filter(name => granted.has(name));
  const raised = ambient.map(canonical).filter(name => allowed.includes(name));
  return { bounding: allowed, effective: allowed, permitted: allowed, inheritable: raised, ambient: raised };
}
