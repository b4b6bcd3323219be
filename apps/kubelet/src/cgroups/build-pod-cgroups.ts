import type { Clock, Logger } from '@naru/foundation';
import type { KubeletConfiguration } from '../config/kubelet-configuration';
import type { MachineReading } from '../node/machine';
import { allPodsLimits } from '../node/node-pressure';
import type { Reserved } from '../node/reserved';
import { buildCgroupDriver } from './build-driver';
import type { CgroupDriverName } from './cgroup-driver';
import { CgroupTree } from './cgroup-tree';
import { CgroupUsage } from './cgroup-usage';
import { PodCgroups } from './pod-cgroups';

interface PodCgroupsInput {
  configuration: KubeletConfiguration;
  machine: MachineReading;
  reserved: Reserved;
  isExclusive: (uid: string) => boolean;
  clock: Clock;
  logger: Logger;
}

/** The cgroups of this machine and, by the driver in effect, those of pods in them. */
export function buildPodCgroups(input: PodCgroupsInput): { tree: CgroupTree; cgroups: PodCgroups } {
  const { configuration, machine, reserved, isExclusive, clock, logger } = input;
  const { cgroupDriver, cgroupRoot, podPidsLimit } = configuration;
  const tree = CgroupTree.ofThisMachine();
  const cgroups = new PodCgroups({
    tree,
    usage: new CgroupUsage({ tree, clock }),
    clock,
    driver: buildCgroupDriver(cgroupDriver as CgroupDriverName, tree, clock),
    // Below systemd's root as upstream; without it our pods are apart from what others make.
    root: cgroupRoot || (cgroupDriver === 'systemd' ? '/' : '/naru'),
    logger,
    isExclusive,
    podPidsLimit: Math.max(0, podPidsLimit),
    hugePageSizes: [...machine.hugePages].filter(([, bytes]) => bytes > 0).map(([size]) => size),
    allPods: allPodsLimits(configuration, machine, reserved),
  });
  return { tree, cgroups };
}
