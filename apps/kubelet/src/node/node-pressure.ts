import type { Node, Pod } from '@naru/api';
import { DiskUsages } from '@naru/foundation';
import { CgroupUsage } from '../cgroups/cgroup-usage';
import type { CgroupTree, CgroupValues } from '../cgroups/cgroup-tree';
import type { PodCgroups } from '../cgroups/pod-cgroups';
import { parseDuration } from '../config/duration';
import type { KubeletConfiguration } from '../config/kubelet-configuration';
import { cpuShares } from '../containers/resources';
import { EvictionManager } from '../eviction/eviction-manager';
import { ImageGc } from '../images/image-gc';
import type { CsiDrivers } from '../csi/csi-drivers';
import { CsiVolumeStats } from '../csi/volume-stats';
import { CadvisorMetrics, type ReportedPod } from '../metrics/cadvisor-metrics';
import { watchVolumes } from '../metrics/volume-metrics';
import { removeDead } from '../pods/dead-containers';
import type { PodWorkers } from '../pods/pod-workers';
import { CpuAndMemory } from '../stats/cpu-and-memory';
import { PodDisks, fileSystemStats } from '../stats/fs-stats';
import { NodeUsage } from '../stats/node-usage';
import { SummaryProvider } from '../stats/summary';
import type { LaterParts, Surroundings } from '../surroundings';
import type { PodVolumes } from '../volumes/pod-volumes';
import type { MachineReading } from './machine';
import type { Reserved } from './reserved';

interface NodePressureDeps extends Surroundings, Pick<LaterParts, 'workers'> {
  tree: CgroupTree;
  cgroups: PodCgroups;
  drivers: CsiDrivers;
  volumes: Pick<PodVolumes, 'behind'>;
  node: () => Node | undefined;
  onPressure: () => void;
  onImageRemoved: (imageId: string) => void;
}

/** What measures the node and acts when something runs out: summary, eviction and the collection of images. */
export interface NodePressure {
  summary: SummaryProvider;
  cpuAndMemory: CpuAndMemory;
  eviction: EvictionManager;
  imageGc: ImageGc;
  cadvisor: CadvisorMetrics;
}

export function buildNodePressure(deps: NodePressureDeps): NodePressure {
  const { configuration, runtime, workers, clock, logger, events, metrics, node, paths } = deps;
  const maxAgeMs = parseDuration(configuration.volumeStatsAggPeriod);
  const disks = new PodDisks({
    ...{ paths, clock, usages: new DiskUsages(clock, maxAgeMs) },
    csi: new CsiVolumeStats({ drivers: deps.drivers, clock, maxAgeMs }),
    behind: (uid, name) => deps.volumes.behind(uid, name),
  });
  const pods = (): Pod[] =>
    workers()
      .list()
      .map(({ current }) => current);
  const active = (): ReturnType<PodWorkers['list']> =>
    workers()
      .list()
      .filter(({ usesResources }) => usesResources);
  const usage = new CgroupUsage({ tree: deps.tree, clock });
  const { rootDir, nodeName } = deps;
  const nodeUsage = new NodeUsage({ usage, kubepods: deps.cgroups.root, nodeName, clock });
  const measuring = { usage, nodeUsage, rootDir, clock };
  const summary = new SummaryProvider({ ...measuring, runtime, cgroups: deps.cgroups, disks, pods });
  watchVolumes(metrics.registry, summary);
  const reported = (): ReportedPod[] =>
    workers()
      .list()
      .map(({ current, lastRuntime }) => ({
        pod: current,
        cgroup: deps.cgroups.pathOf(current),
        containers: lastRuntime.containers,
        hostNetwork: current.spec?.hostNetwork ?? false,
      }));
  const cpuAndMemory = new CpuAndMemory({ ...measuring, tree: deps.tree, pods: reported });
  const cadvisor = new CadvisorMetrics({ tree: deps.tree, usage, machine: deps.machine, pods: reported });
  const imageFs = async (): Promise<Awaited<ReturnType<typeof fileSystemStats>> | undefined> => {
    const images = await summary.imageFs();
    return images && fileSystemStats(images.directory, clock.now());
  };
  const imageGc = new ImageGc({
    ...{ runtime, imageFs, node, events, clock, logger },
    pods: () => active().map(({ current }) => current),
    sandboxImage: deps.sandboxImage,
    onRemoved: deps.onImageRemoved,
    onCollected: (reason, images) => metrics.imagesCollected.inc({ reason }, images),
    highPercent: configuration.imageGCHighThresholdPercent,
    lowPercent: configuration.imageGCLowThresholdPercent,
    minimumAgeMs: parseDuration(configuration.imageMinimumGCAge),
    maximumAgeMs: parseDuration(configuration.imageMaximumGCAge),
  });
  const remover = {
    removeContainer: (id: string) => runtime.removeContainer(id),
    removeSandbox: (id: string) => runtime.removePodSandbox(id),
  };
  const eviction = new EvictionManager({
    ...{ thresholds: deps.thresholds, node, events, clock, logger, onPressure: deps.onPressure },
    nodeStats: () => summary.nodeStats(),
    measureMs: maxAgeMs,
    summary: async () => {
      await Promise.all(active().map(({ current }) => disks.renew(current)));
      return summary.fresh();
    },
    activePods: active,
    dedicatedImageFs: () => summary.dedicatedImageFs(),
    reclaim: [() => removeDead(workers().list(), remover), () => imageGc.removeUnused()],
    onEviction: signal => metrics.evictions.inc({ eviction_signal: signal }),
    transitionMs: parseDuration(configuration.evictionPressureTransitionPeriod),
    maxPodGraceSeconds: configuration.evictionMaxPodGracePeriod,
    localStorageIsolation: configuration.localStorageCapacityIsolation,
    ...(deps.evictionPeriodMs === undefined ? {} : { periodMs: deps.evictionPeriodMs }),
  });
  return { summary, cpuAndMemory, eviction, imageGc, cadvisor };
}

/** What all pods together may have; nothing when enforceNodeAllocatable says so. */
export function allPodsLimits(
  configuration: KubeletConfiguration,
  machine: MachineReading,
  reserved: Reserved,
): CgroupValues {
  if (!configuration.enforceNodeAllocatable.includes('pods')) return {};
  return {
    cpuShares: cpuShares(machine.cores * 1000 - reserved.cpu),
    memoryLimitBytes: machine.memoryBytes - reserved.memory,
    ...(reserved.pids > 0 ? { maxPids: machine.maxPids - reserved.pids } : {}),
  };
}
