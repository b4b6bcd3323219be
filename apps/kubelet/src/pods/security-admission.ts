import fs from 'node:fs';
import type { Container, Pod } from '@naru/api';
import { dottedSysctl } from '../containers/sysctl-name';
import { rejection, type Rejection } from './admission';

export interface NodeSecurity {
  /** Names, or beginnings of names that end in `*`. */
  allowedUnsafeSysctls: readonly string[];
  /** The kernel enforces AppArmor. */
  appArmor: boolean;
}

/** Kernel parameters that a pod may set without harm to others. Source: pkg/kubelet/sysctl/safe_sysctls.go. */
const safeSysctls = [
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.ping_group_range',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.tcp_wmem',
];

const ipcSysctl = /^(kernel\.(shm|msg)|kernel\.sem$|fs\.mqueue\.)/;

export function hostHasAppArmor(): boolean {
  try {
    return fs.readFileSync('/sys/module/apparmor/parameters/enabled', 'utf8').startsWith('Y');
  } catch {
    return false;
  }
}

function admitSysctls(pod: Pod, allowedUnsafe: readonly string[]): Rejection | undefined {
  const { hostNetwork, hostIPC, securityContext } = pod.spec ?? {};
  for (const { name } of securityContext?.sysctls ?? []) {
    const wanted = dottedSysctl(name);
    const matches = (allowed: string): boolean =>
      allowed.endsWith('*') ? wanted.startsWith(dottedSysctl(allowed.slice(0, -1))) : wanted === dottedSysctl(allowed);
    const forbid = (why: string): Rejection => rejection('SysctlForbidden', `forbidden sysctl: "${name}" ${why}`);
    if (![...safeSysctls, ...allowedUnsafe].some(matches)) return forbid('not allowlisted');
    if (hostNetwork && wanted.startsWith('net.')) return forbid('not allowed with host net enabled');
    if (hostIPC && ipcSysctl.test(wanted)) return forbid('not allowed with host ipc enabled');
  }
  return undefined;
}

function wantsAppArmor(pod: Pod): boolean {
  const { containers = [], initContainers = [], ephemeralContainers = [], securityContext } = pod.spec ?? {};
  const all: Container[] = [...containers, ...initContainers, ...(ephemeralContainers as Container[])];
  return all.some(container => {
    const profile = container.securityContext?.appArmorProfile ?? securityContext?.appArmorProfile;
    return profile !== undefined && profile.type !== 'Unconfined';
  });
}

/** What a pod asks of this node's kernel and may not have, or cannot. Source: pkg/kubelet/sysctl, pkg/security/apparmor. */
export function admitSecurity(pod: Pod, node: NodeSecurity): Rejection | undefined {
  const sysctl = admitSysctls(pod, node.allowedUnsafeSysctls);
  if (sysctl) return sysctl;
  if (!node.appArmor && wantsAppArmor(pod)) {
    return rejection('AppArmor', 'Cannot enforce AppArmor: AppArmor is not enabled on the host');
  }
  return undefined;
}
