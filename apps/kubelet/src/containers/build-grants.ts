import type { Container, Pod } from '@naru/api';
import type { cri } from '@naru/proto';
import { buildPodCgroups } from '../cgroups/build-pod-cgroups';
import type { CgroupTree } from '../cgroups/cgroup-tree';
import type { PodCgroups } from '../cgroups/pod-cgroups';
import { ContainerDevices } from '../devices/container-devices';
import type { LaterParts, Surroundings } from '../surroundings';
import { buildTopology, type Topology } from '../topology/build-topology';
import { containerResources } from './resources';

/** What containers are given of the machine: devices, processors, and limits by cgroups. */
export interface Grants {
  devices: ContainerDevices;
  topology: Topology;
  tree: CgroupTree;
  cgroups: PodCgroups;
  /** A container's limits, its processors and where its memory is. */
  resources: (pod: Pod, container: Container) => cri.LinuxContainerResources;
}

export function buildGrants(deps: Surroundings & LaterParts): Grants {
  const { client, clock, logger, rootDir, machine, runtime, workers, reporter, systemDevices } = deps;
  const devices: ContainerDevices = new ContainerDevices({
    ...{ client, clock, logger, rootDir },
    onChange: () => {
      reporter().poke();
      // Their statuses tell of the health of their devices.
      for (const uid of devices.plugins.users) workers().notify(uid);
    },
    onHealth: uids => {
      for (const uid of uids) workers().notify(uid);
    },
    affinity: (uid, container) => topology.manager.affinity(uid, container),
    numaNodes: () => topology.nodes,
  });
  const topology: Topology = buildTopology({
    ...{ configuration: deps.configuration, reserved: deps.reserved, rootDir, clock, logger, workers },
    ...{ client: runtime, devices: devices.plugins, system: systemDevices, machine, thresholds: deps.thresholds },
  });
  const isExclusive = (uid: string): boolean => topology.cpus.isExclusive(uid);
  return {
    ...{ devices, topology },
    ...buildPodCgroups({ ...deps, isExclusive }),
    resources: (pod, container) => {
      const place = [pod.metadata?.uid ?? '', container.name] as const;
      return topology.memory.apply(
        ...place,
        topology.cpus.apply(...place, containerResources(pod, container, machine)),
      );
    },
  };
}
