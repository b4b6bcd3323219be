import type { Container, Pod } from '@naru/api';
import type { Clock, Logger } from '@naru/foundation';
import { CriError, type CriClient } from '../cri/cri-client';
import { runHook, type LifecycleHandler } from '../containers/lifecycle-hook';
import type { PodEvents } from './pod-events';
import { isSidecar } from './restart-rule';
import type { ContainerKill } from './decide';
import type { ContainerRecord, PodRuntime } from './runtime-state';

export interface PodKillerDeps {
  client: CriClient;
  events: PodEvents;
  clock: Clock;
  logger: Logger;
  hostIp: string;
}

/** Upstream gives a container at least so long, unless someone asked for less. */
const minimumGraceSeconds = 2;
const defaultGraceSeconds = 30;

function allContainers(pod: Pod): Container[] {
  const { containers = [], initContainers = [], ephemeralContainers = [] } = pod.spec ?? {};
  return [...containers, ...initContainers, ...(ephemeralContainers as Container[])];
}

/** How long a pod may take to end, by its deletion or its spec. Zero means at once, but never less than a second. */
export function podGraceSeconds(pod: Pod): number {
  const { metadata, spec } = pod;
  if (metadata?.deletionTimestamp && metadata.deletionGracePeriodSeconds !== undefined) {
    return Math.max(1, metadata.deletionGracePeriodSeconds);
  }
  return Math.max(1, spec?.terminationGracePeriodSeconds ?? defaultGraceSeconds);
}

function preStopOf(container: Container | undefined, record: ContainerRecord): LifecycleHandler | undefined {
  if (container) return container.lifecycle?.preStop;
  return record.preStop ? (JSON.parse(record.preStop) as LifecycleHandler) : undefined;
}

/** What is gone already has been stopped. */
async function unlessGone(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof CriError && error.notFound)) throw error;
  }
}

/** Ends containers and pods: preStop hook, SIGTERM, grace, SIGKILL. */
export class PodKiller {
  /** Containers whose preStop hook has been run by this process: it is not run twice. */
  private readonly hooked = new Set<string>();

  constructor(private readonly deps: PodKillerDeps) {}

  /** `graceSeconds` wins over what pod and container say. Resolves when the container has ended. */
  async killContainer(
    pod: Pod,
    record: ContainerRecord,
    options: { message?: string; graceSeconds?: number; podIp: string; signal?: AbortSignal },
  ): Promise<void> {
    const { client, events, clock, logger } = this.deps;
    const container = allContainers(pod).find(({ name }) => name === record.name);
    const message = options.message ?? `Stopping container ${record.name}`;
    events.container(pod, record.name, 'Normal', 'Killing', message);
    const own = container ? podGraceSeconds(pod) : (record.gracePeriodSeconds ?? defaultGraceSeconds);
    const graceSeconds = options.graceSeconds ?? Math.max(minimumGraceSeconds, own);
    const deadline = clock.now() + graceSeconds * 1000;
    const handler = preStopOf(container, record);
    if (handler && record.phase === 'running' && !this.hooked.has(record.id) && graceSeconds > 0) {
      this.remember(record.id);
      try {
        await runHook({
          handler,
          container: container ?? { name: record.name },
          containerId: record.id,
          podIp: options.podIp,
          timeoutMs: graceSeconds * 1000,
          clock,
          runtime: client,
          ...(options.signal ? { signal: options.signal } : {}),
        });
      } catch (err) {
        logger.info({ err, container: record.name, uid: pod.metadata?.uid }, 'preStop hook failed');
        events.container(pod, record.name, 'Warning', 'FailedPreStopHook', 'PreStopHook failed');
      }
    }
    const leftSeconds = Math.ceil((deadline - clock.now()) / 1000);
    // A hook that took all the time still leaves the container a moment for its SIGTERM.
    const timeout = options.signal?.aborted
      ? 0
      : Math.max(leftSeconds, handler && graceSeconds > 0 ? minimumGraceSeconds : leftSeconds);
    await unlessGone(client.stopContainer(record.id, Math.max(0, timeout)));
  }

  /** Carries out the destructive half of a plan for a pod that goes on. A probe may have a grace period of its own. */
  async carryOut(pod: Pod, kills: readonly ContainerKill[], podIp: string): Promise<void> {
    await Promise.all(
      kills.map(({ record, container, message, reason }) => {
        const probe = reason === 'StartupProbe' ? container.startupProbe : container.livenessProbe;
        const probed = reason === 'StartupProbe' || reason === 'LivenessProbe';
        // Who restarts all containers is not to wait for them.
        const own = reason === 'RestartAll' ? 0 : undefined;
        const graceSeconds = probed ? probe?.terminationGracePeriodSeconds : own;
        const options = { message, podIp, ...(graceSeconds === undefined ? {} : { graceSeconds }) };
        return this.killContainer(pod, record, options);
      }),
    );
  }

  /**
   * Ends all containers and then the sandboxes: main containers together, sidecars after them in reverse order, all
   * within one grace period.
   */
  async killPod(pod: Pod, runtime: PodRuntime, graceSeconds: number, signal?: AbortSignal): Promise<void> {
    const { clock, hostIp, client } = this.deps;
    const deadline = clock.now() + graceSeconds * 1000;
    const podIp = runtime.sandboxes[0]?.ips[0] ?? hostIp;
    const running = runtime.containers.filter(({ phase }) => phase === 'running' || phase === 'unknown');
    const sidecarNames = (pod.spec?.initContainers ?? []).filter(isSidecar).map(({ name }) => name);
    const sidecars = running.filter(({ name }) => sidecarNames.includes(name));
    const others = running.filter(record => !sidecars.includes(record));
    const kill = (record: ContainerRecord): Promise<void> => {
      const left = Math.max(0, Math.ceil((deadline - clock.now()) / 1000));
      return this.killContainer(pod, record, { graceSeconds: left, podIp, ...(signal ? { signal } : {}) });
    };
    await Promise.all(others.map(kill));
    sidecars.sort((a, b) => sidecarNames.indexOf(b.name) - sidecarNames.indexOf(a.name));
    for (const sidecar of sidecars) await kill(sidecar);
    await Promise.all(runtime.sandboxes.map(({ id }) => unlessGone(client.stopPodSandbox(id))));
  }

  /** Removes every container and sandbox of a pod from the runtime. */
  async remove(runtime: PodRuntime): Promise<void> {
    const { client } = this.deps;
    await Promise.all(runtime.containers.map(({ id }) => unlessGone(client.removeContainer(id))));
    await Promise.all(runtime.sandboxes.map(({ id }) => unlessGone(client.removePodSandbox(id))));
    for (const { id } of runtime.containers) this.hooked.delete(id);
  }

  private remember(id: string): void {
    if (this.hooked.size >= 1_024) this.hooked.delete(this.hooked.values().next().value as string);
    this.hooked.add(id);
  }
}
