import { parseDuration } from '../config/duration';
import { kubeletVersion } from '../config/flags';
import type { Attachments } from '../csi/attachments';
import type { ContainerDevices } from '../devices/container-devices';
import type { PodWorkers } from '../pods/pod-workers';
import type { Surroundings } from '../surroundings';
import { removeLocalVolumes } from '../volumes/local-path-removal';
import { GracefulShutdown } from './graceful-shutdown';
import { NodeLease } from './node-lease';
import type { NodePressure } from './node-pressure';
import { NodeReporter } from './node-reporter';

interface NodeDeps extends Surroundings {
  workers: PodWorkers;
  devices: ContainerDevices;
  attachments: Attachments;
  pressure: NodePressure;
  /** Where the kubelet's API is served. */
  port: () => number;
}

/** The node as others see it: its Node, its Lease, and how it goes away. */
export interface NodeParts {
  reporter: NodeReporter;
  lease: NodeLease;
  shutdown: GracefulShutdown;
}

export function buildNode(deps: NodeDeps): NodeParts {
  const { configuration, client, runtime, clock, logger, nodeName } = deps;
  const shutdown: GracefulShutdown = new GracefulShutdown({
    ...{ clock, logger, workers: () => deps.workers.list(), onBegin: () => reporter.poke() },
    periodMs: parseDuration(configuration.shutdownGracePeriod),
    criticalMs: parseDuration(configuration.shutdownGracePeriodCriticalPods),
  });
  const reporter = new NodeReporter({
    ...{ api: client, runtime, events: deps.events, clock, logger, kubeletVersion },
    ...{ rootDir: deps.rootDir, maxPods: deps.maxPods, thresholds: deps.thresholds, reserved: deps.reserved },
    template: {
      nodeName,
      labels: Object.fromEntries(deps.nodeLabels.map(label => label.split('=') as [string, string])),
      taints: configuration.registerWithTaints,
    },
    addresses: deps.hostIps,
    port: deps.port,
    maxImages: configuration.nodeStatusMaxImages,
    pressures: () => deps.pressure.eviction.pressures,
    devices: () => deps.devices.plugins.resources(),
    updateMs: parseDuration(configuration.nodeStatusUpdateFrequency),
    reportMs: parseDuration(configuration.nodeStatusReportFrequency),
    volumesInUse: () => deps.attachments.inUse(),
    isShuttingDown: () => shutdown.isActive,
    onPodCidr: cidr =>
      void runtime
        .updateRuntimeConfig(cidr)
        .catch((err: unknown) => logger.info({ err }, 'pod CIDR not taken by the runtime')),
    onReported: node =>
      void removeLocalVolumes(node, { client, logger }).catch((err: unknown) =>
        logger.info({ err }, 'local volumes: no answer given, asked again'),
      ),
  });
  const lease = new NodeLease({
    ...{ client, clock, logger, nodeName, node: () => reporter.current },
    durationSeconds: configuration.nodeLeaseDurationSeconds,
  });
  return { reporter, lease, shutdown };
}
