import fs from 'node:fs';
import type { Container, Pod, Service, Stored } from '@naru/api';
import type { Clock, Logger } from '@naru/foundation';
import { cri } from '@naru/proto';
import type { PodCgroups } from '../cgroups/pod-cgroups';
import { ContainerConfigError } from '../containers/config-error';
import { containerConfig } from '../containers/container-config';
import type { ClusterDns } from '../containers/dns';
import { containerEnv, type ConfigSource } from '../containers/env';
import type { PodFacts } from '../containers/field-ref';
import { hostNetworkHostsFile, hostsFile } from '../containers/hosts-file';
import { runHook } from '../containers/lifecycle-hook';
import { containerDevices, containerMounts } from '../containers/mounts';
import { sandboxConfig } from '../containers/sandbox-config';
import { serviceEnv } from '../containers/service-env';
import type { ContainerDevices } from '../devices/container-devices';
import { CriError, type CriClient } from '../cri/cri-client';
import { ImageError, type ImagePuller, type PresentImage } from '../images/image-puller';
import type { WaitingReason } from '../status/container-status';
import type { KubeletMetrics } from '../metrics/kubelet-metrics';
import type { PodVolumes } from '../volumes/pod-volumes';
import { BackOff } from './back-off';
import type { ContainerStart, PodPlan } from './decide';
import type { PodEvents } from './pod-events';
import type { PodKiller } from './pod-killer';
import type { PodPaths } from './pod-paths';
import type { PodRuntime, RuntimeReader } from './runtime-state';
import type { StartHolds } from './start-holds';
import type { UserNamespaces } from './user-namespaces';

export interface PodStarterDeps {
  client: CriClient;
  reader: RuntimeReader;
  puller: ImagePuller;
  volumes: PodVolumes;
  cgroups: PodCgroups;
  killer: PodKiller;
  events: PodEvents;
  paths: PodPaths;
  objects: ConfigSource;
  dns: ClusterDns;
  clock: Clock;
  logger: Logger;
  facts: (podIps: readonly string[]) => PodFacts;
  /** Waits until the services are known: a container's environment names them. */
  services: (pod: Pod) => Promise<readonly Service[]>;
  /** A container's limits, and its processors. */
  resources: (pod: Pod, container: Container) => cri.LinuxContainerResources;
  seccompDefault: boolean;
  /** The handler of the pod's RuntimeClass. Throws when there is no such class. */
  runtimeHandler: (runtimeClass: string | undefined) => Promise<string>;
  userNamespaces: UserNamespaces;
  metrics: KubeletMetrics;
  devices: ContainerDevices;
}

/** The pod as a whole could not be started; the reason is that of the event. */
export class PodStartError extends Error {
  constructor(
    readonly reason: 'FailedCreatePodSandBox' | 'FailedPrepareDynamicResources',
    message: string,
    options: { cause: unknown },
  ) {
    super(message, options);
  }
}

export interface StartReport {
  /** Containers that could not be started, and why. */
  waiting: Map<string, WaitingReason>;
  holds: StartHolds;
  /** When it is worth trying again; absent when nothing failed. */
  retryAfterMs: number | undefined;
  /** How many were started. */
  started: number;
}

/** A container's own image, and by the names of its volumes those that consist of an image. */
interface Images {
  image: PresentImage;
  volumes: ReadonlyMap<string, string>;
}

type PreparedImages = Images | { error: unknown };

/** Waits for `work` only as long as the pod is wanted: a pull or a hook may take very long. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

function readIfThere(file: string): string | undefined {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** Carries out the constructive half of a plan: sandbox, volumes and images side by side, then the containers in order. */
export class PodStarter {
  /** Of containers that could not be created or started: soon at first, then every ten seconds, as upstream. */
  private readonly retries: BackOff;

  constructor(private readonly deps: PodStarterDeps) {
    this.retries = new BackOff({ initialMs: 2_000, maxMs: 10_000, now: () => deps.clock.now() });
  }

  private nextRetryMs(key: string): number {
    this.retries.next(key, this.deps.clock.now());
    return this.retries.delayMs(key);
  }

  /**
   * Throws VolumeError or PodStartError when the pod as a whole cannot start, and the signal's reason when it is not to
   * start any more: no container is created after that.
   */
  async start(pod: Pod, runtime: PodRuntime, plan: PodPlan, report: StartReport, signal: AbortSignal): Promise<void> {
    const { paths, cgroups, volumes, facts } = this.deps;
    const userNamespace = await this.userNamespace(pod);
    await this.prepareClaims(pod);
    await cgroups.create(pod);
    fs.mkdirSync(paths.logs(pod), { recursive: true, mode: 0o755 });
    const attempt = plan.createSandbox ? plan.sandboxAttempt : (plan.sandbox?.attempt ?? 0);
    const config = sandboxConfig({
      pod,
      attempt,
      dns: this.deps.dns,
      logDirectory: paths.logs(pod),
      userNamespace,
      cgroupParent: cgroups.pathOf(pod),
      resources: cgroups.resources(pod),
    });
    // None of these needs another: the slowest alone counts.
    const images = plan.start.map(({ container }) => this.prepareImages(pod, container, config));
    const mounted = volumes.setUp(pod, facts([]), signal).then(
      paths_ => ({ paths: paths_ }),
      (error: unknown) => ({ error }),
    );
    const sandbox = await this.sandbox(pod, plan, config, runtime);
    const result = await mounted;
    if ('error' in result) throw result.error;
    this.writeHosts(pod, sandbox.ips);
    for (const [index, start] of plan.start.entries()) {
      const prepared = await unlessAborted(images[index] as Promise<PreparedImages>, signal);
      const context = { config, userNamespace, sandbox, images: prepared, volumes: result.paths, runtime, signal };
      await this.startContainer(pod, start, context, report);
    }
  }

  private async userNamespace(pod: Pod): Promise<cri.UserNamespace> {
    try {
      const { runtimeClassName, hostUsers } = pod.spec ?? {};
      const handler = hostUsers === false ? await this.deps.runtimeHandler(runtimeClassName) : '';
      return await this.deps.userNamespaces.of(pod, handler);
    } catch (cause) {
      const message = `Failed to create pod sandbox: ${(cause as Error).message}`;
      throw new PodStartError('FailedCreatePodSandBox', message, { cause });
    }
  }

  private async prepareClaims(pod: Pod): Promise<void> {
    try {
      await this.deps.devices.claims.prepare(pod as Stored<Pod>);
    } catch (cause) {
      const message = `Failed to prepare dynamic resources: ${(cause as Error).message}`;
      throw new PodStartError('FailedPrepareDynamicResources', message, { cause });
    }
  }

  private async prepareImages(pod: Pod, container: Container, config: cri.PodSandboxConfig): Promise<PreparedImages> {
    const { puller } = this.deps;
    try {
      const image = await puller.ensure(pod, container, config);
      const volumes = new Map<string, string>();
      for (const { name } of container.volumeMounts ?? []) {
        const source = pod.spec?.volumes?.find(volume => volume.name === name)?.image;
        if (!source) continue;
        const wanted = { name: container.name, image: source.reference, imagePullPolicy: source.pullPolicy };
        volumes.set(name, (await puller.ensure(pod, wanted, config)).ref);
      }
      return { image, volumes };
    } catch (error) {
      return { error };
    }
  }

  private async sandbox(
    pod: Pod,
    plan: PodPlan,
    config: cri.PodSandboxConfig,
    runtime: PodRuntime,
  ): Promise<{ id: string; ips: readonly string[] }> {
    const { client, events, metrics } = this.deps;
    if (plan.sandbox && !plan.createSandbox) return plan.sandbox;
    const runtime_handler = pod.spec?.runtimeClassName ?? '';
    const observe = metrics.sandboxSeconds.startTimer({ runtime_handler });
    metrics.podsStarted.inc();
    try {
      if (runtime.sandboxes.length > 0) {
        events.pod(pod, 'Normal', 'SandboxChanged', 'Pod sandbox changed, it will be killed and re-created.');
      }
      const id = await client.runPodSandbox(config, await this.deps.runtimeHandler(pod.spec?.runtimeClassName));
      observe();
      return { id, ips: (await this.deps.reader.networkOf(id)).ips };
    } catch (cause) {
      metrics.podStartErrors.inc();
      metrics.sandboxErrors.inc({ runtime_handler });
      const message = `Failed to create pod sandbox: ${(cause as Error).message}`;
      throw new PodStartError('FailedCreatePodSandBox', message, { cause });
    }
  }

  /** At once, as all that is small and the node's own: the thread pool would take many times as long. */
  private writeHosts(pod: Pod, ips: readonly string[]): void {
    const file = this.deps.paths.hosts(pod.metadata?.uid ?? '');
    const text = pod.spec?.hostNetwork
      ? hostNetworkHostsFile(pod, readIfThere('/etc/hosts') ?? '')
      : hostsFile(pod, ips, this.deps.dns.domain);
    // Written in place: containers have this very file mounted.
    if (readIfThere(file) === text) return;
    fs.mkdirSync(this.deps.paths.pod(pod.metadata?.uid ?? ''), { recursive: true, mode: 0o750 });
    fs.writeFileSync(file, text, { mode: 0o644 });
  }

  private async startContainer(
    pod: Pod,
    start: ContainerStart,
    context: {
      config: cri.PodSandboxConfig;
      userNamespace: cri.UserNamespace;
      sandbox: { id: string; ips: readonly string[] };
      images: PreparedImages;
      volumes: ReadonlyMap<string, string>;
      runtime: PodRuntime;
      signal: AbortSignal;
    },
    report: StartReport,
  ): Promise<void> {
    const { container } = start;
    const { events } = this.deps;
    const container_type = containerType(pod, container.name);
    this.deps.metrics.containersStarted.inc({ container_type });
    const retryKey = `${pod.metadata?.uid ?? ''}/${container.name}`;
    const fail = (reason: string, message: string, retryAfterMs = this.nextRetryMs(retryKey)): void => {
      this.deps.metrics.containerStartErrors.inc({ container_type, code: reason });
      report.waiting.set(container.name, { reason, message });
      report.retryAfterMs = Math.min(report.retryAfterMs ?? Infinity, retryAfterMs);
    };
    const hold = (reason: string, message: string): void => {
      const delayMs = this.nextRetryMs(retryKey);
      report.holds.hold(container.name, delayMs);
      fail(reason, message, delayMs);
    };
    if ('error' in context.images) {
      const { error } = context.images;
      const reason = error instanceof ImageError ? error.reason : 'ImageInspectError';
      events.container(pod, container.name, 'Warning', 'Failed', `Error: ${reason}`);
      return fail(reason, (error as Error).message, error instanceof ImageError ? error.retryAfterMs : undefined);
    }
    let id: string;
    try {
      id = await this.create(pod, start, context, context.images);
    } catch (error) {
      const config = error instanceof ContainerConfigError;
      const reason = config ? 'CreateContainerConfigError' : 'CreateContainerError';
      const { message } = error as Error;
      events.container(pod, container.name, 'Warning', 'Failed', `Error: ${message}`);
      if (config) return fail(reason, message);
      return hold(reason, message);
    }
    try {
      await this.deps.client.startContainer(id);
      report.started++;
      this.retries.forget(retryKey);
    } catch (error) {
      const { message } = error as Error;
      events.container(pod, container.name, 'Warning', 'Failed', `Error: ${message}`);
      return hold('RunContainerError', message);
    }
    events.container(pod, container.name, 'Normal', 'Started', 'Container started');
    const handler = container.lifecycle?.postStart;
    if (!handler) return;
    await unlessAborted(this.postStart(pod, start, id, handler, context.sandbox.ips[0], fail), context.signal);
  }

  private async create(
    pod: Pod,
    start: ContainerStart,
    context: {
      config: cri.PodSandboxConfig;
      userNamespace: cri.UserNamespace;
      sandbox: { id: string; ips: readonly string[] };
      volumes: ReadonlyMap<string, string>;
      runtime: PodRuntime;
    },
    images: Images,
  ): Promise<string> {
    const { client, paths, objects, events } = this.deps;
    const { container, attempt, round } = start;
    const { config, userNamespace, sandbox, volumes, runtime } = context;
    const links = serviceEnv(
      await this.deps.services(pod),
      pod.metadata?.namespace ?? '',
      pod.spec?.enableServiceLinks ?? true,
    );
    const env = await containerEnv({
      pod,
      container,
      facts: this.deps.facts(sandbox.ips),
      serviceEnv: links,
      objects,
      volumes,
    });
    const grant = await this.deps.devices.allocate(pod, container);
    for (const [name, value] of Object.entries(grant.envs)) env.set(name, value);
    const mounts = await containerMounts({
      ...{ pod, container, attempt, volumes, images: images.volumes, env, paths },
      canRecursiveReadOnly: async () => {
        const handler = await this.deps.runtimeHandler(pod.spec?.runtimeClassName);
        const { runtimeHandlers } = await client.status();
        return runtimeHandlers.some(({ name, features }) => name === handler && features?.recursiveReadOnlyMounts);
      },
    });
    const target = (container as { targetContainerName?: string }).targetContainerName;
    fs.mkdirSync(`${paths.logs(pod)}/${container.name}`, { recursive: true, mode: 0o755 });
    const id = await client.createContainer(
      sandbox.id,
      containerConfig({
        pod,
        container,
        attempt,
        round,
        imageRef: images.image.ref,
        imageUser: images.image.user,
        env,
        mounts: [...mounts, ...grant.mounts.map(each => cri.Mount.fromPartial({ ...each, readonly: each.readOnly }))],
        devices: [...containerDevices({ container, volumes }), ...grant.devices],
        annotations: grant.annotations,
        cdiDevices: grant.cdiDevices,
        logPath: paths.containerLog(container.name, attempt),
        resources: this.deps.resources(pod, container),
        seccomp: { directory: paths.seccomp, defaultProfile: this.deps.seccompDefault },
        userNamespace,
        targetContainerId: target ? runtime.containers.find(({ name }) => name === target)?.id : undefined,
      }),
      config,
    );
    events.container(pod, container.name, 'Normal', 'Created', 'Container created');
    return id;
  }

  private async postStart(
    pod: Pod,
    start: ContainerStart,
    containerId: string,
    handler: NonNullable<NonNullable<Container['lifecycle']>['postStart']>,
    podIp: string | undefined,
    fail: (reason: string, message: string, retryAfterMs: number) => void,
  ): Promise<void> {
    const { client, clock, events, logger } = this.deps;
    const { container } = start;
    const [hostIp = '127.0.0.1'] = this.deps.facts([]).hostIps;
    try {
      // Upstream sets no bound; an hour keeps a stuck hook from holding the pod for ever.
      const timeoutMs = 3600_000;
      await runHook({ handler, container, containerId, podIp: podIp ?? hostIp, timeoutMs, clock, runtime: client });
    } catch (error) {
      const { message } = error as Error;
      logger.info({ err: error, container: container.name, uid: pod.metadata?.uid }, 'postStart hook failed');
      events.container(pod, container.name, 'Warning', 'FailedPostStartHook', 'PostStartHook failed');
      const grace = pod.spec?.terminationGracePeriodSeconds ?? 30;
      await client.stopContainer(containerId, grace).catch((err: unknown) => {
        if (!(err instanceof CriError && err.notFound)) throw err;
      });
      fail('PostStartHookError', message, 1_000);
    }
  }
}

/** By upstream's names in metrics. */
function containerType(pod: Pod, name: string): string {
  if (pod.spec?.initContainers?.some(each => each.name === name)) return 'init_container';
  return pod.spec?.containers.some(each => each.name === name) ? 'container' : 'ephemeral_container';
}
