import fs from 'node:fs';
import { cri } from '@naru/proto';
import type { Clock, Logger } from '@naru/foundation';
import { CriError, type CriClient } from '../cri/cri-client';
import { CgroupfsDriver, type CgroupDriver, type CgroupDriverName } from './cgroup-driver';
import type { CgroupTree } from './cgroup-tree';
import { SystemdDriver } from './systemd-driver';

/** The driver in effect: both sides must agree, so a runtime that names its own wins. Source: KEP-4033. */
export async function cgroupDriverName(
  runtime: CriClient,
  configured: string,
  logger: Logger,
): Promise<CgroupDriverName> {
  let name = configured as CgroupDriverName;
  try {
    const { linux } = await runtime.runtimeConfig();
    if (linux) name = linux.cgroupDriver === cri.CgroupDriver.SYSTEMD ? 'systemd' : 'cgroupfs';
  } catch (error) {
    if (!(error instanceof CriError) || !error.unimplemented) throw error;
  }
  if (name !== configured) logger.warn({ configured, inEffect: name }, "the runtime's cgroup driver is used");
  return name;
}

/** Throws when this machine has not what the driver takes. */
export function buildCgroupDriver(name: CgroupDriverName, tree: CgroupTree, clock: Clock): CgroupDriver {
  if (name === 'cgroupfs') return new CgroupfsDriver(tree);
  if (tree.mounts.version !== 2) throw new Error('cgroupDriver "systemd" needs cgroups of version 2 alone');
  if (!fs.existsSync('/run/systemd/system')) throw new Error('cgroupDriver "systemd": systemd does not run here');
  return new SystemdDriver({ tree, clock });
}
