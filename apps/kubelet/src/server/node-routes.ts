import type { Pod } from '@naru/api';
import { runChecks, type HealthCheck } from '@naru/foundation';
import type { Registry } from 'prom-client';
import type { cri } from '@naru/proto';
import type { CriClient } from '../cri/cri-client';
import { labelNames } from '../cri/labels';
import type { PodWorkers } from '../pods/pod-workers';
import { readMachine } from '../node/machine';
import type { Exchange } from './kubelet-server';

export interface NodeRoutesDeps {
  workers: PodWorkers;
  runtime: CriClient;
  metrics: Registry;
  checks: HealthCheck[];
  nodeName: string;
  rootDir: string;
  startedAtMs: number;
  /** Shown by /configz; without secrets. */
  config: Record<string, unknown>;
}

const iso = (nanoseconds: bigint): string =>
  `${new Date(Number(nanoseconds / 1_000_000n)).toISOString().slice(0, 19)}Z`;
const number = (value: { value: bigint } | undefined): number | undefined => value && Number(value.value);

function cpuStats(cpu: cri.CpuUsage | undefined): Record<string, unknown> | undefined {
  if (!cpu) return undefined;
  return {
    time: iso(cpu.timestamp),
    usageNanoCores: number(cpu.usageNanoCores),
    usageCoreNanoSeconds: number(cpu.usageCoreNanoSeconds),
  };
}

function memoryStats(memory: cri.MemoryUsage | undefined): Record<string, unknown> | undefined {
  if (!memory) return undefined;
  return {
    time: iso(memory.timestamp),
    availableBytes: number(memory.availableBytes),
    usageBytes: number(memory.usageBytes),
    workingSetBytes: number(memory.workingSetBytes),
    rssBytes: number(memory.rssBytes),
    pageFaults: number(memory.pageFaults),
    majorPageFaults: number(memory.majorPageFaults),
  };
}

/** What the node tells about itself: health, metrics, its pods, their use of resources, its configuration. */
export class NodeRoutes {
  readonly routes: Record<string, (exchange: Exchange) => Promise<void>>;

  constructor(private readonly deps: NodeRoutesDeps) {
    const { metrics, checks, config } = deps;
    this.routes = {
      healthz: async ({ response }) => {
        const { healthy, report } = await runChecks(checks);
        response.writeHead(healthy ? 200 : 500, { 'content-type': 'text/plain' }).end(healthy ? 'ok' : report);
      },
      metrics: async ({ response }) => {
        response.setHeader('content-type', metrics.contentType);
        response.end(await metrics.metrics());
      },
      pods: exchange =>
        this.json(
          exchange,
          this.podList(() => true),
        ),
      runningpods: exchange =>
        this.json(
          exchange,
          this.podList(
            uid => deps.workers.get(uid)?.lastRuntime.containers.some(({ phase }) => phase === 'running') ?? false,
          ),
        ),
      configz: exchange => this.json(exchange, { kubeletconfig: config }),
      stats: async exchange => this.json(exchange, await this.summary()),
    };
  }

  private async json({ response }: Exchange, body: unknown): Promise<void> {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  }

  private podList(wanted: (uid: string) => boolean): unknown {
    const items: Pod[] = this.deps.workers
      .list()
      .filter(({ uid }) => wanted(uid))
      .map(({ current }) => current);
    return { kind: 'PodList', apiVersion: 'v1', metadata: {}, items };
  }

  /** stats.k8s.io Summary, from what the runtime measures. */
  private async summary(): Promise<unknown> {
    const { runtime, nodeName, rootDir, startedAtMs } = this.deps;
    const [containers, sandboxes, machine] = await Promise.all([
      runtime.listContainerStats(),
      runtime.listPodSandboxStats().catch(() => []),
      readMachine(rootDir),
    ]);
    const now = new Date().toISOString();
    const pods = new Map<string, { podRef: Record<string, string>; containers: unknown[]; [key: string]: unknown }>();
    const podOf = (labels: Record<string, string>): { containers: unknown[]; [key: string]: unknown } | undefined => {
      const uid = labels[labelNames.podUid];
      if (!uid) return undefined;
      let pod = pods.get(uid);
      if (!pod) {
        const podRef = {
          name: labels[labelNames.podName] ?? '',
          namespace: labels[labelNames.podNamespace] ?? '',
          uid,
        };
        pod = { podRef, startTime: this.deps.workers.get(uid)?.current.status?.startTime, containers: [] };
        pods.set(uid, pod);
      }
      return pod;
    };
    for (const { attributes, cpu, memory, writableLayer } of containers) {
      const labels = attributes?.labels ?? {};
      podOf(labels)?.containers.push({
        name: labels[labelNames.containerName] ?? attributes?.metadata?.name,
        cpu: cpuStats(cpu),
        memory: memoryStats(memory),
        ...(writableLayer
          ? { rootfs: { usedBytes: number(writableLayer.usedBytes), inodesUsed: number(writableLayer.inodesUsed) } }
          : {}),
      });
    }
    for (const { attributes, linux } of sandboxes) {
      const pod = podOf(attributes?.labels ?? {});
      if (!pod || !linux) continue;
      pod['cpu'] = cpuStats(linux.cpu);
      pod['memory'] = memoryStats(linux.memory);
      const network = linux.network?.defaultInterface;
      if (network) {
        pod['network'] = {
          time: now,
          name: network.name,
          rxBytes: number(network.rxBytes),
          txBytes: number(network.txBytes),
        };
      }
    }
    return {
      node: {
        nodeName,
        startTime: new Date(startedAtMs).toISOString(),
        memory: {
          time: now,
          availableBytes: machine.memoryAvailableBytes,
          workingSetBytes: machine.memoryBytes - machine.memoryAvailableBytes,
        },
        fs: {
          time: now,
          availableBytes: machine.diskAvailableBytes,
          capacityBytes: machine.diskBytes,
          usedBytes: machine.diskBytes - machine.diskAvailableBytes,
          inodesFree: machine.inodesFree,
          inodes: machine.inodes,
        },
        rlimit: { time: now, maxpid: machine.maxPids, curproc: machine.pids },
      },
      pods: [...pods.values()],
    };
  }
}
