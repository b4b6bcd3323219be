import type { Pod } from '@naru/api';
import { runChecks, StatusError, type HealthCheck } from '@naru/foundation';
import type { Registry } from 'prom-client';
import type { CriClient } from '../cri/cri-client';
import type { PodWorkers } from '../pods/pod-workers';
import type { CadvisorMetrics } from '../metrics/cadvisor-metrics';
import { expositionType } from '../metrics/exposition';
import { resourceMetrics } from '../metrics/resource-metrics';
import type { KubeletConfiguration } from '../config/kubelet-configuration';
import type { CpuAndMemory } from '../stats/cpu-and-memory';
import type { SummaryProvider } from '../stats/summary';
import type { ContainerStats, PodStats } from '../stats/summary-types';
import type { Exchange } from './kubelet-server';

export interface NodeRoutesDeps {
  workers: PodWorkers;
  runtime: CriClient;
  metrics: Registry;
  probeMetrics: Registry;
  cadvisor: CadvisorMetrics;
  checks: HealthCheck[];
  summary: SummaryProvider;
  cpuAndMemory: CpuAndMemory;
  /** Shown by /configz. */
  configuration: KubeletConfiguration;
}

/** What the node tells about itself: health, metrics, its pods, their use of resources, its configuration. */
export class NodeRoutes {
  readonly routes: Record<string, (exchange: Exchange) => Promise<void>>;

  constructor(private readonly deps: NodeRoutesDeps) {
    const { checks, configuration } = deps;
    this.routes = {
      healthz: async ({ response }) => {
        const { healthy, report } = await runChecks(checks);
        response.writeHead(healthy ? 200 : 500, { 'content-type': 'text/plain' }).end(healthy ? 'ok' : report);
      },
      metrics: exchange => this.metrics(exchange),
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
      configz: exchange => this.json(exchange, { kubeletconfig: configuration }),
      stats: exchange => this.stats(exchange),
    };
  }

  private async json({ response }: Exchange, body: unknown): Promise<void> {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  }

  /** /metrics, and below it what upstream serves apart: resource, cadvisor, probes. */
  private async metrics({ parts, response, url }: Exchange): Promise<void> {
    const { metrics, probeMetrics, cadvisor, cpuAndMemory } = this.deps;
    const pages: Record<string, () => Promise<string> | string> = {
      '': () => metrics.metrics(),
      probes: () => probeMetrics.metrics(),
      cadvisor: () => cadvisor.text(),
      // As upstream: that it failed is a metric of its own.
      resource: async () => resourceMetrics(await cpuAndMemory.get().catch(() => undefined)),
    };
    const name = parts.join('/');
    const page = Object.hasOwn(pages, name) ? pages[name] : undefined;
    if (!page) throw new StatusError('NotFound', `404 page not found: ${url.pathname}`);
    const text = await page();
    response.setHeader('content-type', expositionType);
    response.end(text);
  }

  private podList(wanted: (uid: string) => boolean): unknown {
    const items: Pod[] = this.deps.workers
      .list()
      .filter(({ uid }) => wanted(uid))
      .map(({ current }) => current);
    return { kind: 'PodList', apiVersion: 'v1', metadata: {}, items };
  }

  /** /stats/summary; with ?only_cpu_and_memory=true no more than that. */
  private async stats(exchange: Exchange): Promise<void> {
    if (exchange.parts[0] !== 'summary')
      throw new StatusError('NotFound', `404 page not found: ${exchange.url.pathname}`);
    if (exchange.url.searchParams.get('only_cpu_and_memory') !== 'true')
      return this.json(exchange, await this.deps.summary.get());
    const { node, pods } = await this.deps.cpuAndMemory.get();
    const little = ({ cpu, memory }: Pick<PodStats, 'cpu' | 'memory'>): object => ({ cpu, memory });
    const few = (containers: readonly ContainerStats[]): object[] =>
      containers.map(each => ({ name: each.name, startTime: each.startTime, ...little(each) }));
    await this.json(exchange, {
      node: {
        nodeName: node.nodeName,
        startTime: node.startTime,
        systemContainers: few(node.systemContainers),
        ...little(node),
      },
      pods: pods.map(pod => ({
        podRef: pod.podRef,
        startTime: pod.startTime,
        containers: few(pod.containers),
        ...little(pod),
      })),
    });
  }
}
