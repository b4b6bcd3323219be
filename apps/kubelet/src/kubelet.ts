import { setMaxListeners } from 'node:events';
import fs from 'node:fs/promises';
import path from 'node:path';
import { pods, quantityValue, services, type Container, type Pod, type Service, type Stored } from '@naru/api';
import { EventRecorder, type Informer, type InformerOptions, type ObjectsClient } from '@naru/client';
import type { KubeObject } from '@naru/api';
import { systemClock, type Clock, type Logger } from '@naru/foundation';
import type { Registry } from 'prom-client';
import { cgroupDriverName } from './cgroups/build-driver';
import { buildPodCgroups } from './cgroups/build-pod-cgroups';
import { kubeletVersion, type KubeletFlags } from './config/flags';
import { parseDuration } from './config/duration';
import type { KubeletConfiguration } from './config/kubelet-configuration';
import type { cri } from '@naru/proto';
import { parseResolvConf } from './containers/dns';
import { containerResources } from './containers/resources';
import type { PodFacts } from './containers/field-ref';
import { knownServices } from './containers/known-services';
import { ContainerEvents } from './cri/container-events';
import { CriClient } from './cri/cri-client';
import { firstVersion } from './cri/first-version';
import { buildCsi } from './csi/build-csi';
import { ContainerDevices } from './devices/container-devices';
import { ImagePuller } from './images/image-puller';
import { pullRecords } from './images/pull-records';
import { LogRotator } from './logs/log-rotator';
import { readMachine } from './node/machine';
import { GracefulShutdown } from './node/graceful-shutdown';
import { NodeLease } from './node/node-lease';
import { NodeReporter } from './node/node-reporter';
import { mostPods } from './node/node-resources';
import { parseReserved } from './node/reserved';
import { parseThresholds } from './eviction/thresholds';
import { buildNodePressure, type NodePressure } from './node/node-pressure';
import { KubeletMetrics } from './metrics/kubelet-metrics';
import { ProbeMetrics } from './metrics/probe-metrics';
import { Allocations } from './pods/allocations';
import { BackOff } from './pods/back-off';
import { PodAdmission } from './pods/pod-admission';
import { PodEvents } from './pods/pod-events';
import { PodKiller } from './pods/pod-killer';
import { PodPaths } from './pods/pod-paths';
import { PodResizer } from './pods/pod-resizer';
import { PodStarter } from './pods/pod-starter';
import { PodWorkers } from './pods/pod-workers';
import { manifestSources } from './pods/manifest-sources';
import { OrphanCleaner } from './pods/orphans';
import { runtimeHandler } from './pods/runtime-handler';
import { RuntimeReader } from './pods/runtime-state';
import { admitSecurity, hostHasAppArmor } from './pods/security-admission';
import { StaticPods } from './pods/static-pods';
import { UserNamespaces, subordinateIds } from './pods/user-namespaces';
import { ProbeManager } from './probes/probe-manager';
import { buildServer } from './server/build-server';
import type { KubeletServer } from './server/kubelet-server';
import { StatusWriter } from './status/status-writer';
import { buildTopology, type Topology } from './topology/build-topology';
import { Claims } from './volumes/claims';
import { memoryDirectory } from './volumes/memory-directory';
import { makeShared } from './volumes/mount';
import { ObjectCache } from './volumes/object-cache';
import { removeLocalVolumes } from './volumes/local-path-removal';
import { PodVolumes } from './volumes/pod-volumes';
import { volumePlugins } from './volumes/registry';
import { ServiceAccountTokens } from './volumes/service-account-tokens';

export interface KubeletDeps {
  flags: Pick<KubeletFlags, 'node-name' | 'node-ip' | 'root-dir' | 'node-labels'>;
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

/** The node's agent, assembled. `start` returns when it works; `stop` leaves all containers running. */
export class Kubelet {
  readonly workers: PodWorkers;
  readonly reporter: NodeReporter;
  readonly server: KubeletServer;
  private readonly controller = new AbortController();
  private readonly tasks: Promise<unknown>[] = [];
  private readonly status: StatusWriter;
  private readonly probes: ProbeManager;

  private constructor(
    private readonly deps: KubeletDeps,
    private readonly runtime: CriClient,
    private readonly built: ReturnType<typeof assemble>,
  ) {
    // Every part that waits listens to the end.
    setMaxListeners(0, this.controller.signal);
    this.workers = built.workers;
    this.reporter = built.reporter;
    this.server = built.server;
    this.status = built.status;
    this.probes = built.probes;
  }

  static async create(deps: KubeletDeps): Promise<Kubelet> {
    const { flags, configuration, logger } = deps;
    const paths = new PodPaths(
      flags['root-dir'],
      configuration.podLogsDir || path.join(flags['root-dir'], 'logs'),
      path.join(flags['root-dir'], 'memory'),
    );
    await fs.mkdir(paths.pods, { recursive: true, mode: 0o750 });
    await fs.mkdir(paths.logsDir, { recursive: true, mode: 0o755 });
    // Mounts that a pod makes below it (a CSI driver's, say) are to be seen by us and by other pods.
    await makeShared(flags['root-dir']).catch((err: unknown) => logger.warn({ err }, 'mounts of pods are not shared'));
    await memoryDirectory(paths.memoryDir, logger);
    const [machine, resolvConf] = await Promise.all([
      readMachine(flags['root-dir']),
      fs.readFile(configuration.resolvConf, 'utf8').catch(() => ''),
    ]);
    const runtime = new CriClient(configuration.containerRuntimeEndpoint);
    const version = await firstVersion(runtime, deps);
    configuration.cgroupDriver = await cgroupDriverName(runtime, configuration.cgroupDriver, logger);
    const facts = (podIps: readonly string[]): PodFacts => ({
      podIps,
      hostIps: flags['node-ip'],
      nodeName: flags['node-name'],
      allocatable: {
        cpu: machine.cores * 1000,
        memory: machine.memoryBytes,
        'ephemeral-storage': machine.diskBytes,
      },
    });
    const dns = {
      servers: configuration.clusterDNS,
      domain: configuration.clusterDomain,
      host: parseResolvConf(resolvConf),
    };
    const built = assemble(deps, { runtime, paths, facts, dns, machine, runtimeName: version });
    return new Kubelet(deps, runtime, built);
  }

  /** What the node suffers from. */
  get pressures(): readonly string[] {
    return this.built.pressure.eviction.pressures;
  }

  /** What tells how much is used. */
  get measures(): Pick<NodePressure, 'summary' | 'cadvisor'> {
    return this.built.pressure;
  }

  /** Begins to work. Resolves when the API is served; the Node becomes Ready when the runtime's network is. */
  async start(): Promise<void> {
    const { logger } = this.deps;
    const { signal } = this.controller;
    const { reader, lease, events, rotator, orphans, podInformer, serviceInformer, staticPods, csi } = this.built;
    const { cgroups, pressure, topology } = this.built;
    await cgroups.createRoot();
    await this.built.devices.start();
    await csi.attachments.recover(this.built.paths.pods);
    await this.built.puller.recover();
    await this.server.listen();
    this.tasks.push(csi.watcher.run(signal));
    this.tasks.push(this.reporter.run(signal), lease.run(signal), events.run(signal), rotator.run(signal));
    this.tasks.push(pressure.eviction.run(signal), pressure.imageGc.run(signal), topology.sharedCpus.run(signal));
    const known = await reader.listPods();
    podInformer.addHandler({
      onAdd: pod => this.takePod(pod),
      onUpdate: pod => this.takePod(pod),
      onDelete: pod => (staticPods.isMirror(pod) ? staticPods.mirrorGone(pod) : this.workers.remove(pod)),
    });
    this.workers.begin(new Set(known.keys()));
    await staticPods.start(signal);
    const synced = Promise.all([podInformer.start(signal), serviceInformer.start(signal)]).then(async () => {
      await orphans.clean(known);
      topology.cpus.retain(uid => this.workers.get(uid) !== undefined);
      this.built.devices.claims.start(uid => this.workers.get(uid) !== undefined);
      logger.info({ pods: podInformer.lister.size, known: known.size }, 'pods synced');
    });
    // An api-server that never comes must not keep us from stopping.
    const stopping = new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true }));
    const cleaned = synced.catch((err: unknown) => signal.aborted || logger.error({ err }, 'start-up clean-up failed'));
    this.tasks.push(Promise.race([cleaned, stopping]));
  }

  /** Ends all pods when the configuration gives them time for it (shutdownGracePeriod). */
  shutDown(): Promise<void> {
    return this.built.shutdown.run();
  }

  /** Stops watching over pods; every container stays as it is. */
  async stop(): Promise<void> {
    this.controller.abort(new Error('the kubelet is stopping'));
    this.probes.stop();
    await this.server.close();
    this.built.devices.stop();
    await this.workers.close();
    await this.status.flushAll();
    await Promise.allSettled(this.tasks);
    this.built.csi.drivers.close();
    this.runtime.close();
  }

  private takePod(pod: Stored<Pod>): void {
    const { staticPods } = this.built;
    if (staticPods.isMirror(pod)) staticPods.mirrorSeen(pod);
    else this.workers.apply(pod);
  }
}

interface Surroundings {
  runtime: CriClient;
  paths: PodPaths;
  facts: (podIps: readonly string[]) => PodFacts;
  dns: ConstructorParameters<typeof PodStarter>[0]['dns'];
  machine: Awaited<ReturnType<typeof readMachine>>;
  runtimeName: string;
}

function assemble(deps: KubeletDeps, around: Surroundings) {
  const { flags, configuration, client, informers, logger } = deps;
  const { runtime, paths, facts, dns, machine, runtimeName } = around;
  const clock = deps.clock ?? systemClock;
  const now = (): number => clock.now();
  const nodeName = flags['node-name'];
  const [hostIp = '127.0.0.1'] = flags['node-ip'];
  const recorder = new EventRecorder({ client, logger, component: 'kubelet', host: nodeName, clock });
  const events = new PodEvents(recorder);
  const podInformer = informers.informer<Pod>({
    type: pods,
    partition: nodeName,
    fieldSelector: `spec.nodeName=${nodeName}`,
  });
  const serviceInformer = informers.informer<Service>({ type: services });
  const objects = new ObjectCache({ client, clock });
  const tokens = new ServiceAccountTokens({ client, clock });
  const metrics = new KubeletMetrics(deps.metrics);
  const probeMetrics = new ProbeMetrics();
  runtime.onCall = call => metrics.noteCall(call);
  const devices: ContainerDevices = new ContainerDevices({
    ...{ client, clock, logger, rootDir: flags['root-dir'] },
    onChange: () => reporter.poke(),
    affinity: (uid, container) => topology.manager.affinity(uid, container),
    numaNodes: () => topology.nodes,
  });
  const csi = buildCsi({
    ...{ client, logger, clock, paths, nodeName, onChange: () => reporter.poke() },
    otherPlugins: { DRAPlugin: devices.claims.drivers },
  });
  const volumes = new PodVolumes({
    ...{ paths, objects, serviceAccountToken: tokens.get, clock },
    plugins: volumePlugins({ client, paths, events, clock, nodeName, ...csi }),
    claims: new Claims({ client, node: () => reporter.current }),
    onSetUp: (plugin, seconds, failed) =>
      metrics.storageSeconds.observe(
        {
          volume_plugin: `kubernetes.io/${plugin}`,
          operation_name: 'volume_mount',
          status: failed ? 'fail-unknown' : 'success',
          migrated: 'false',
        },
        seconds,
      ),
  });
  const thresholds = parseThresholds(configuration);
  const reserved = parseReserved(configuration.systemReserved, configuration.kubeReserved);
  const topology: Topology = buildTopology({
    ...{ configuration, reserved, client: runtime, devices: devices.plugins, clock, logger },
    ...{ rootDir: flags['root-dir'], workers: () => workers, system: deps.systemDevices },
  });
  const resources = (pod: Pod, container: Container): cri.LinuxContainerResources =>
    topology.cpus.apply(pod.metadata?.uid ?? '', container.name, containerResources(pod, container, machine));
  const isExclusive = (uid: string): boolean => topology.cpus.isExclusive(uid);
  const { tree, cgroups } = buildPodCgroups({ configuration, machine, reserved, isExclusive, clock, logger });
  const pressure: NodePressure = buildNodePressure({
    ...{ configuration, thresholds, runtime, tree, machine, cgroups, paths, volumes },
    ...{ events, drivers: csi.drivers, metrics, clock, logger, nodeName, rootDir: flags['root-dir'] },
    workers: () => workers,
    node: () => reporter.current,
    onPressure: () => reporter.poke(),
    onImageRemoved: id => puller.forget(id),
    evictionPeriodMs: deps.evictionPeriodMs,
  });
  const reader = new RuntimeReader(runtime, flags['node-ip']);
  const killer = new PodKiller({ client: runtime, events, clock, logger, hostIp });
  const puller = new ImagePuller({
    ...{ client: runtime, objects, events, logger, now, metrics },
    records: pullRecords(flags['root-dir'], configuration, now),
    maxParallelPulls: configuration.serializeImagePulls ? 1 : configuration.maxParallelImagePulls,
  });
  const status = new StatusWriter({ client, clock, logger });
  const probes = new ProbeManager({
    ...{ client: runtime, events, clock, hostIp, metrics: probeMetrics },
    onChange: uid => workers.notify(uid),
  });
  const maxPods = mostPods(configuration, machine.cores);
  const pool = subordinateIds();
  const userNamespaces = new UserNamespaces({
    ...{ paths, logger, maxPods, idsPerPod: configuration.userNamespaces.idsPerPod, ...(pool ? { pool } : {}) },
    handlers: async () => (await runtime.status()).runtimeHandlers,
  });
  const released = (uid: string): void => {
    devices.release(uid);
    userNamespaces.release(uid);
    topology.admission.release(uid);
  };
  const starter = new PodStarter({
    devices,
    userNamespaces,
    client: runtime,
    puller,
    volumes,
    cgroups,
    killer,
    events,
    paths,
    objects,
    dns,
    clock,
    logger,
    facts,
    // What runs without an api-server does not wait for one.
    services: async pod =>
      staticPods.isStatic(pod) ? serviceInformer.lister.list() : knownServices(serviceInformer, clock),
    resources,
    seccompDefault: configuration.seccompDefault,
    runtimeHandler: name => runtimeHandler(client, name),
    metrics,
  });
  const reporter: NodeReporter = new NodeReporter({
    api: client,
    runtime,
    events,
    clock,
    logger,
    template: {
      nodeName,
      labels: Object.fromEntries(flags['node-labels'].map(label => label.split('=') as [string, string])),
      taints: configuration.registerWithTaints,
    },
    addresses: flags['node-ip'],
    port: () => server.port,
    rootDir: flags['root-dir'],
    maxPods,
    maxImages: configuration.nodeStatusMaxImages,
    thresholds,
    reserved,
    pressures: () => pressure.eviction.pressures,
    devices: () => devices.plugins.resources(),
    updateMs: parseDuration(configuration.nodeStatusUpdateFrequency),
    reportMs: parseDuration(configuration.nodeStatusReportFrequency),
    kubeletVersion,
    volumesInUse: () => csi.attachments.inUse(),
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
  const security = { allowedUnsafeSysctls: configuration.allowedUnsafeSysctls, appArmor: hostHasAppArmor() };
  const allocations = new Allocations(paths);
  const resizer = new PodResizer({
    ...{ allocations, client: runtime, cgroups, events, logger, resources, staticCpus: topology.cpus.isStatic },
    node: () => reporter.current,
    others: uid => workers.given(uid),
    isStatic: pod => staticPods.isStatic(pod),
  });
  const admission = new PodAdmission({
    gates: [() => shutdown.admit(), pod => pressure.eviction.admit(pod), pod => admitSecurity(pod, security)],
    node: () => reporter.current,
    renewNode: () => reporter.renew(),
    workers: () => workers,
    isStatic: pod => staticPods.isStatic(pod),
    resources: topology.admission,
    events,
    onPreemption: resource => metrics.preemptions.inc({ preemption_signal: resource }),
  });
  const workers: PodWorkers = new PodWorkers({
    logger,
    worker: {
      client,
      reader,
      starter,
      killer,
      probes,
      status,
      volumes,
      cgroups,
      events,
      paths,
      backOff: new BackOff({ now }),
      allocations,
      resizer,
      clock,
      logger,
      runtimeName,
      hostIps: flags['node-ip'],
      facts,
      admission,
      removeContainer: id => runtime.removeContainer(id),
      removeSandbox: id => runtime.removePodSandbox(id),
      refreshMs: parseDuration(configuration.syncFrequency),
      onStarted: seconds => metrics.podStartSeconds.observe(seconds),
      shownAs: pod => (staticPods.isStatic(pod) ? staticPods.mirrorOf(pod) : pod),
      forget: uid => tokens.forget(uid),
      released,
    },
  });
  const shutdown: GracefulShutdown = new GracefulShutdown({
    ...{ clock, logger, workers: () => workers.list(), onBegin: () => reporter.poke() },
    periodMs: parseDuration(configuration.shutdownGracePeriod),
    criticalMs: parseDuration(configuration.shutdownGracePeriodCriticalPods),
  });
  const staticPods: StaticPods = new StaticPods({
    sources: manifestSources(configuration, logger),
    nodeName,
    client,
    clock,
    logger,
    apply: pod => workers.apply(pod),
    remove: pod => workers.remove(pod),
    mirrored: pod => workers.notify(pod.metadata.uid),
    node: () => reporter.current,
  });
  const server: KubeletServer = buildServer({
    ...{ configuration, client, runtime, workers, paths, pressure, metrics, probeMetrics, nodeName, clock, logger },
    registry: deps.metrics,
  });
  metrics.watch(workers, nodeName, uid => staticPods.has(uid));
  return {
    topology,
    workers,
    reporter,
    server,
    status,
    probes,
    reader,
    podInformer,
    serviceInformer,
    staticPods,
    shutdown,
    pressure,
    cgroups,
    devices,
    puller,
    csi,
    paths,
    lease: new NodeLease({
      client,
      clock,
      logger,
      nodeName,
      node: () => reporter.current,
      durationSeconds: configuration.nodeLeaseDurationSeconds,
    }),
    events: new ContainerEvents({
      client: runtime,
      clock,
      logger,
      onPod: (uid, event) => workers.notify(uid, event),
      onGap: () => {
        workers.notifyAll();
        reporter.poke();
      },
    }),
    rotator: new LogRotator({
      clock,
      logger,
      logs: () =>
        workers
          .list()
          .flatMap(worker =>
            worker.lastRuntime.containers
              .filter(({ phase, logPath }) => phase === 'running' && logPath !== '')
              .map(({ id, logPath }) => ({ containerId: id, file: logPath })),
          ),
      reopen: id => runtime.reopenContainerLog(id),
      maxBytes: quantityValue(configuration.containerLogMaxSize),
      maxFiles: configuration.containerLogMaxFiles,
      periodMs: parseDuration(configuration.containerLogMonitorInterval),
    }),
    orphans: new OrphanCleaner({
      ...{ workers, paths, volumes, cgroups, logger, released },
      isKnown: uid => staticPods.has(uid),
    }),
  };
}
