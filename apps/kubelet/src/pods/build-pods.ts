import { quantityValue, type Pod, type Service } from '@naru/api';
import type { Informer } from '@naru/client';
import { parseDuration } from '../config/duration';
import type { Grants } from '../containers/build-grants';
import { ContainerEvents } from '../cri/container-events';
import { LogRotator } from '../logs/log-rotator';
import { ProbeMetrics } from '../metrics/probe-metrics';
import { ProbeManager } from '../probes/probe-manager';
import { StatusWriter } from '../status/status-writer';
import type { LaterParts, Surroundings } from '../surroundings';
import type { Volumes } from '../volumes/build-volumes';
import { Allocations } from './allocations';
import { BackOff } from './back-off';
import { buildStarter, type StarterParts } from './build-starter';
import { manifestSources } from './manifest-sources';
import { OrphanCleaner } from './orphans';
import { PodAdmission, type PodAdmissionDeps } from './pod-admission';
import { PodKiller } from './pod-killer';
import { PodResizer } from './pod-resizer';
import { PodWorkers } from './pod-workers';
import { RuntimeReader, type PodRuntime } from './runtime-state';
import { admitFeatures } from '../node/declared-features';
import { admitSecurity, hostHasAppArmor } from './security-admission';
import { StaticPods } from './static-pods';

/** Whatever the longest delay between restarts. Source: pkg/kubelet/kubelet.go. */
const restartsForgottenMs = 600_000;

interface PodsDeps extends Surroundings, Grants, Volumes, Pick<LaterParts, 'reporter'> {
  services: Informer<Service>;
  /** What else may refuse a pod: the state that this node is in. */
  gates: PodAdmissionDeps['gates'];
}

/** The pods of this node: their workers with all that these work with, and what keeps an eye on all of them. */
export interface Pods extends Pick<StarterParts, 'puller'> {
  workers: PodWorkers;
  staticPods: StaticPods;
  reader: RuntimeReader;
  status: StatusWriter;
  probes: ProbeManager;
  probeMetrics: ProbeMetrics;
  containerEvents: ContainerEvents;
  logRotator: LogRotator;
  orphans: OrphanCleaner;
}

export function buildPods(deps: PodsDeps): Pods {
  const { configuration, client, runtime, clock, logger, events, metrics, nodeName, hostIps, hostIp, paths } = deps;
  const { volumes, tokens, devices, topology, cgroups, resources, reporter } = deps;
  const node = (): ReturnType<typeof reporter>['current'] => reporter().current;
  const isStatic = (pod: Pod): boolean => staticPods.isStatic(pod);
  const reader = new RuntimeReader(runtime, hostIps);
  const killer = new PodKiller({ client: runtime, events, clock, logger, hostIp });
  const { starter, puller, userNamespaces } = buildStarter({ ...deps, reader, killer, isStatic });
  const status = new StatusWriter({ client, clock, logger });
  const probeMetrics = new ProbeMetrics();
  const probes = new ProbeManager({
    ...{ client: runtime, events, clock, hostIp, metrics: probeMetrics },
    onChange: uid => workers.notify(uid),
  });
  const allocations = new Allocations(paths);
  const resizer = new PodResizer({
    ...{ allocations, client: runtime, cgroups, events, logger, resources, isStatic, node },
    staticManagers: [
      ...(topology.cpus.isStatic ? (['CPU'] as const) : []),
      ...(topology.memory.isStatic ? (['Memory'] as const) : []),
    ],
    others: uid => workers.given(uid),
  });
  const security = { allowedUnsafeSysctls: configuration.allowedUnsafeSysctls, appArmor: hostHasAppArmor() };
  const admission = new PodAdmission({
    ...{ node, isStatic, resources: topology.admission, events },
    gates: [...deps.gates, pod => admitSecurity(pod, security), pod => admitFeatures(pod)],
    renewNode: () => reporter().renew(),
    workers: () => workers,
    onPreemption: resource => metrics.preemptions.inc({ preemption_signal: resource }),
  });
  const released = (uid: string): void => {
    devices.release(uid);
    userNamespaces.release(uid);
    topology.admission.release(uid);
  };
  const workers: PodWorkers = new PodWorkers({
    logger,
    worker: {
      ...{ client, reader, starter, killer, probes, status, volumes, cgroups, events, paths, allocations, resizer },
      ...{ admission, clock, logger, runtimeName: deps.runtimeName, hostIps, facts: deps.facts, released },
      deviceHealth: (pod, container) => devices.health(pod, container),
      backOff: new BackOff({
        maxMs: parseDuration(configuration.crashLoopBackOff.maxContainerRestartPeriod),
        forgetMs: restartsForgottenMs,
        now: () => clock.now(),
      }),
      removeContainer: id => runtime.removeContainer(id),
      removeSandbox: id => runtime.removePodSandbox(id),
      refreshMs: parseDuration(configuration.syncFrequency),
      onStarted: seconds => metrics.podStartSeconds.observe(seconds),
      shownAs: pod => (isStatic(pod) ? staticPods.mirrorOf(pod) : pod),
      forget: uid => tokens.forget(uid),
    },
  });
  const staticPods: StaticPods = new StaticPods({
    ...{ sources: manifestSources(configuration, logger), nodeName, client, clock, logger, node },
    apply: pod => workers.apply(pod),
    remove: pod => workers.remove(pod),
    mirrored: pod => workers.notify(pod.metadata.uid),
  });
  metrics.watch(workers, nodeName, uid => staticPods.has(uid));
  const containerEvents = new ContainerEvents({
    ...{ client: runtime, clock, logger },
    onPod: (uid, event) => workers.notify(uid, event),
    onGap: () => {
      workers.notifyAll();
      reporter().poke();
    },
  });
  const logRotator = new LogRotator({
    ...{ clock, logger },
    logs: () => workers.list().flatMap(({ lastRuntime }) => runningLogs(lastRuntime)),
    reopen: id => runtime.reopenContainerLog(id),
    maxBytes: quantityValue(configuration.containerLogMaxSize),
    maxFiles: configuration.containerLogMaxFiles,
    periodMs: parseDuration(configuration.containerLogMonitorInterval),
  });
  const orphans = new OrphanCleaner({
    ...{ workers, paths, volumes, cgroups, logger, released },
    isKnown: uid => staticPods.has(uid),
  });
  return { workers, staticPods, reader, status, probes, probeMetrics, puller, containerEvents, logRotator, orphans };
}

function runningLogs({ containers }: PodRuntime): { containerId: string; file: string }[] {
  return containers
    .filter(({ phase, logPath }) => phase === 'running' && logPath !== '')
    .map(({ id, logPath }) => ({ containerId: id, file: logPath }));
}
