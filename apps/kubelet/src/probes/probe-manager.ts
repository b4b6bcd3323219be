import type { Container, Pod, Probe } from '@naru/api';
import type { Clock } from '@naru/foundation';
import type { CriClient } from '../cri/cri-client';
import type { ProbeMetrics } from '../metrics/probe-metrics';
import type { PodEvents } from '../pods/pod-events';
import { isSidecar } from '../pods/restart-rule';
import type { ContainerRecord, PodRuntime } from '../pods/runtime-state';
import { ProbeWorker, type ProbeType } from './probe-worker';
import { runProbe } from './prober';

export interface ProbeManagerDeps {
  client: Pick<CriClient, 'execSync'>;
  events: PodEvents;
  clock: Clock;
  hostIp: string;
  /** A result has changed: the pod wants a look. */
  onChange: (uid: string) => void;
  metrics: ProbeMetrics;
}

const types: readonly ProbeType[] = ['startup', 'readiness', 'liveness'];
const titles: Record<ProbeType, string> = { startup: 'Startup', readiness: 'Readiness', liveness: 'Liveness' };

function probeOf(container: Container, type: ProbeType): Probe | undefined {
  if (type === 'startup') return container.startupProbe;
  return type === 'readiness' ? container.readinessProbe : container.livenessProbe;
}

interface PodProbes {
  /** `CONTAINER_ID/TYPE` → its worker. */
  workers: Map<string, ProbeWorker>;
  results: Map<string, boolean>;
}

/** Runs the probes of all running containers and keeps their results. */
export class ProbeManager {
  private readonly pods = new Map<string, PodProbes>();

  constructor(private readonly deps: ProbeManagerDeps) {}

  /** The last result; undefined as long as there is none, or no such probe. */
  result(uid: string, containerId: string, type: ProbeType): boolean | undefined {
    return this.pods.get(uid)?.results.get(`${containerId}/${type}`);
  }

  hasStarted(uid: string, container: Container, record: ContainerRecord): boolean {
    if (record.phase !== 'running') return false;
    return !container.startupProbe || this.result(uid, record.id, 'startup') === true;
  }

  isReady(uid: string, container: Container, record: ContainerRecord): boolean {
    if (!this.hasStarted(uid, container, record)) return false;
    return !container.readinessProbe || this.result(uid, record.id, 'readiness') === true;
  }

  /** Starts what new containers need and ends what is over. While a pod terminates only its readiness counts. */
  sync(pod: Pod, runtime: PodRuntime, terminating = false): void {
    const uid = pod.metadata?.uid ?? '';
    const known: PodProbes = this.pods.get(uid) ?? { workers: new Map(), results: new Map() };
    const wanted = new Set<string>();
    const containers = [...(pod.spec?.initContainers ?? []).filter(isSidecar), ...(pod.spec?.containers ?? [])];
    for (const container of containers) {
      const record = runtime.containers.find(({ name }) => name === container.name);
      if (record?.phase !== 'running') continue;
      for (const type of types) {
        const probe = probeOf(container, type);
        if (!probe || (terminating && type !== 'readiness')) continue;
        const key = `${record.id}/${type}`;
        wanted.add(key);
        if (!known.workers.has(key))
          known.workers.set(key, this.start(pod, container, record, type, probe, runtime, known));
      }
    }
    for (const [key, worker] of known.workers) {
      if (wanted.has(key)) continue;
      worker.stop();
      known.workers.delete(key);
      known.results.delete(key);
    }
    if (known.workers.size > 0) this.pods.set(uid, known);
    else this.pods.delete(uid);
  }

  forget(uid: string): void {
    for (const worker of this.pods.get(uid)?.workers.values() ?? []) worker.stop();
    this.pods.delete(uid);
    this.deps.metrics.forget(uid);
  }

  stop(): void {
    for (const uid of [...this.pods.keys()]) this.forget(uid);
  }

  private start(
    pod: Pod,
    container: Container,
    record: ContainerRecord,
    type: ProbeType,
    probe: Probe,
    runtime: PodRuntime,
    known: PodProbes,
  ): ProbeWorker {
    const { client, clock, events, hostIp, onChange, metrics } = this.deps;
    const uid = pod.metadata?.uid ?? '';
    const key = `${record.id}/${type}`;
    const initial = initialResult(pod, record, type);
    if (initial !== undefined) known.results.set(key, initial);
    const podIp = runtime.sandboxes[0]?.ips[0] ?? hostIp;
    return new ProbeWorker({
      type,
      probe,
      startedAt: record.startedAt,
      initial,
      clock,
      run: async () => {
        const startedAt = performance.now();
        const outcome = await runProbe(probe, { container, containerId: record.id, podIp }, client);
        const result = outcome ? (outcome.success ? 'successful' : 'failed') : 'unknown';
        const seconds = (performance.now() - startedAt) / 1000;
        const { namespace = '', name = '' } = pod.metadata ?? {};
        // One that was under way when its pod ended would be counted for ever.
        if (this.pods.has(uid))
          metrics.observe({
            container: container.name,
            namespace,
            pod: name,
            uid,
            type: titles[type],
            result,
            seconds,
          });
        return outcome;
      },
      mayRun: () => type === 'startup' || !container.startupProbe || known.results.get(`${record.id}/startup`) === true,
      onResult: result => {
        known.results.set(key, result);
        if (type === 'startup') for (const other of types) known.workers.get(`${record.id}/${other}`)?.poke();
        onChange(uid);
      },
      onFailure: output => {
        const message = `${titles[type]} probe failed: ${output}`;
        events.container(pod, container.name, 'Warning', 'Unhealthy', message);
      },
    });
  }
}

/** A container that an earlier kubelet found ready or started stays so until a probe says otherwise. */
function initialResult(pod: Pod, record: ContainerRecord, type: ProbeType): boolean | undefined {
  if (type === 'liveness') return undefined;
  const all = [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])];
  const status = all.find(({ containerID }) => containerID?.endsWith(`://${record.id}`));
  const held = type === 'readiness' ? status?.ready : status?.started;
  return held === true ? true : undefined;
}
