import fs from 'node:fs/promises';
import path from 'node:path';
import type { KubeObject } from '@naru/api';
import { EventRecorder, type Informer, type InformerOptions, type ObjectsClient } from '@naru/client';
import { systemClock, type Clock, type Logger } from '@naru/foundation';
import type { Registry } from 'prom-client';
import { cgroupDriverName } from './cgroups/build-driver';
import type { KubeletFlags } from './config/flags';
import type { KubeletConfiguration } from './config/kubelet-configuration';
import { parseResolvConf, type ClusterDns } from './containers/dns';
import type { PodFacts } from './containers/field-ref';
import { CriClient } from './cri/cri-client';
import { firstVersion } from './cri/first-version';
import { parseThresholds, type Threshold } from './eviction/thresholds';
import { KubeletMetrics } from './metrics/kubelet-metrics';
import { readMachine, type MachineReading } from './node/machine';
import type { NodeReporter } from './node/node-reporter';
import { mostPods } from './node/node-resources';
import { parseReserved, type Reserved } from './node/reserved';
import { PodEvents } from './pods/pod-events';
import { PodPaths } from './pods/pod-paths';
import type { PodWorkers } from './pods/pod-workers';
import { memoryDirectory } from './volumes/memory-directory';
import { makeShared } from './volumes/mount';

export interface KubeletDeps {
  flags: Pick<KubeletFlags, 'node-name' | 'node-ip' | 'root-dir' | 'node-labels' | 'pod-infra-container-image'>;
  configuration: KubeletConfiguration;
  client: ObjectsClient;
  informers: { informer<T extends KubeObject>(options: InformerOptions<T>): Informer<T> };
  logger: Logger;
  metrics: Registry;
  clock?: Clock;
  /** Ends the wait for the runtime. */
  signal?: AbortSignal;
  /** How often the node is looked at for what runs out; 10 s unless a test is in a hurry. */
  evictionPeriodMs?: number;
  /** Where the kernel tells of processors, unless a test has other ones than /sys/devices/system. */
  systemDevices?: string;
}

/** What every part of the kubelet works with: this node as it is configured and found, its runtime, the api-server. */
export interface Surroundings extends Pick<
  KubeletDeps,
  'configuration' | 'client' | 'informers' | 'logger' | 'evictionPeriodMs' | 'systemDevices'
> {
  clock: Clock;
  nodeName: string;
  nodeLabels: readonly string[];
  /** That of the runtime for sandboxes, when it is known. */
  sandboxImage: string | undefined;
  hostIps: readonly string[];
  /** Where probes and hooks of pods in the host's network go. */
  hostIp: string;
  rootDir: string;
  paths: PodPaths;
  machine: MachineReading;
  reserved: Reserved;
  thresholds: readonly Threshold[];
  maxPods: number;
  runtime: CriClient;
  runtimeName: string;
  dns: ClusterDns;
  /** What a pod can be told of itself and of this node. */
  facts: (podIps: readonly string[]) => PodFacts;
  events: PodEvents;
  metrics: KubeletMetrics;
}

/** Parts that others ask although they are built before them. */
export interface LaterParts {
  workers: () => PodWorkers;
  reporter: () => NodeReporter;
}

/** Makes the kubelet's directories, reads the machine, and waits for the runtime. */
export async function readSurroundings(deps: KubeletDeps): Promise<Surroundings> {
  const { flags, configuration, client, informers, logger, evictionPeriodMs, systemDevices } = deps;
  const { 'node-name': nodeName, 'node-ip': hostIps, 'root-dir': rootDir } = flags;
  const paths = await makeDirectories(rootDir, configuration, logger);
  const [machine, resolvConf] = await Promise.all([
    readMachine(rootDir),
    fs.readFile(configuration.resolvConf, 'utf8').catch(() => ''),
  ]);
  const runtime = new CriClient(configuration.containerRuntimeEndpoint);
  const runtimeName = await firstVersion(runtime, deps);
  configuration.cgroupDriver = await cgroupDriverName(runtime, configuration.cgroupDriver, logger);
  const metrics = new KubeletMetrics(deps.metrics);
  runtime.onCall = call => metrics.noteCall(call);
  const clock = deps.clock ?? systemClock;
  const allocatable = {
    cpu: machine.cores * 1000,
    memory: machine.memoryBytes,
    'ephemeral-storage': machine.diskBytes,
  };
  return {
    ...{ configuration, client, informers, logger, clock, metrics, runtime, runtimeName, paths, machine },
    ...{ nodeName, nodeLabels: flags['node-labels'], hostIps, hostIp: hostIps[0] ?? '127.0.0.1', rootDir },
    ...(evictionPeriodMs === undefined ? {} : { evictionPeriodMs }),
    ...(systemDevices === undefined ? {} : { systemDevices }),
    sandboxImage: flags['pod-infra-container-image'],
    reserved: parseReserved(configuration.systemReserved, configuration.kubeReserved),
    thresholds: parseThresholds(configuration),
    maxPods: mostPods(configuration, machine.cores),
    dns: {
      servers: configuration.clusterDNS,
      domain: configuration.clusterDomain,
      host: parseResolvConf(resolvConf),
    },
    facts: podIps => ({ podIps, hostIps, nodeName, allocatable }),
    events: new PodEvents(new EventRecorder({ client, logger, component: 'kubelet', host: nodeName, clock })),
  };
}

async function makeDirectories(
  rootDir: string,
  { podLogsDir }: KubeletConfiguration,
  logger: Logger,
): Promise<PodPaths> {
  const paths = new PodPaths(rootDir, podLogsDir || path.join(rootDir, 'logs'), path.join(rootDir, 'memory'));
  await fs.mkdir(paths.pods, { recursive: true, mode: 0o750 });
  await fs.mkdir(paths.logsDir, { recursive: true, mode: 0o755 });
  // Mounts that a pod makes below it (a CSI driver's, say) are to be seen by us and by other pods.
  await makeShared(rootDir).catch((err: unknown) => logger.warn({ err }, 'mounts of pods are not shared'));
  await memoryDirectory(paths.memoryDir, logger);
  return paths;
}
