import fs from 'node:fs';
import { UsageError } from '@naru/foundation';
import { cri } from '@naru/proto';
import type { Cgroups } from './cgroups';

/** The driver of that name. Throws when this machine has not what it takes. */
export function cgroupDriverOf(name: string, cgroups: Cgroups): cri.CgroupDriver {
  if (name === 'cgroupfs') return cri.CgroupDriver.CGROUPFS;
  if (name !== 'systemd') throw new UsageError(`flag --cgroup-driver: "${name}" is neither cgroupfs nor systemd`);
  if (cgroups.version !== 2) throw new UsageError('flag --cgroup-driver: systemd needs cgroups of version 2 alone');
  if (!fs.existsSync('/run/systemd/system')) throw new UsageError('flag --cgroup-driver: systemd does not run here');
  return cri.CgroupDriver.SYSTEMD;
}
