import assert from 'node:assert/strict';
import { endpointSlices, services, type Endpoint, type EndpointSlice, type Service } from '@naru/api';
import type { InformerFactory } from '@naru/client';
import { createMetrics, silentLogger, systemClock } from '@naru/foundation';
import { eventually, MemoryObjects } from '@naru/testing';
import { createProxyMetrics } from '../metrics';
import type { ProxyMode, RuleSync } from '../modes/mode';
import { ServiceProxy } from '../service-proxy';
import { answering } from './mode-bench';
import type { Place } from './network-lab';
import type { TestCluster } from './test-cluster';

const key = { namespace: 'default', name: 'web' };
/** Long, for programs in another kernel on a busy machine are slow. */
const waitMs = 120_000;

export interface ProxiedServicesDeps {
  cluster: TestCluster;
  mode: Pick<ProxyMode, 'name'>;
  /** The rules as a process has them that has just started. */
  rules: () => RuleSync;
}

/** A Service `web` of a cluster, its slice, and a kube-proxy on node 1 that is told of them. IPv4. */
export class ProxiedServices {
  readonly clusterIp = '10.96.0.80';
  readonly api = new MemoryObjects();
  proxy: ServiceProxy | undefined;
  private rules: RuleSync | undefined;
  private stopping = new AbortController();

  constructor(private readonly deps: ProxiedServicesDeps) {}

  get lab(): TestCluster['lab'] {
    return this.deps.cluster.lab;
  }

  /** Who asks when nobody else is said to. */
  get client(): Place {
    return this.deps.cluster.pods[0] as Place;
  }

  /** As a process that comes to rules which an earlier one may have left. `informers`: how it hears of objects. */
  async start(informers: InformerFactory = this.api.informers()): Promise<void> {
    this.stopping = new AbortController();
    this.rules = this.deps.rules();
    this.proxy = new ServiceProxy({
      nodeName: 'node-1',
      families: [{ family: 'IPv4', rules: this.rules }],
      informers,
      run: this.lab.node(1).run,
      metrics: createProxyMetrics(createMetrics()),
      followers: [],
      clock: systemClock,
      logger: silentLogger,
      minSyncPeriodMs: 10,
      fullSyncPeriodMs: 3_600_000,
    });
    await informers.start(this.stopping.signal);
    this.proxy.start();
  }

  /** What it has made stays. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.proxy?.stop();
  }

  async close(): Promise<void> {
    await this.stop();
    await this.rules?.cleanup();
  }

  service(spec: Service['spec'] = {}): Service {
    return { metadata: key, spec: { clusterIP: this.clusterIp, ports: [{ name: 'http', port: 80 }], ...spec } };
  }

  /** The pods with these indices; `of` says more of one. */
  slice(pods: readonly number[], of: (pod: number) => Partial<Endpoint> = () => ({})): EndpointSlice {
    return {
      metadata: { ...key, labels: { 'kubernetes.io/service-name': key.name } },
      addressType: 'IPv4',
      ports: [
        { name: 'http', port: 8080, protocol: 'TCP' },
        { name: 'other', port: 8081, protocol: 'TCP' },
        { name: 'held', port: 8082, protocol: 'TCP' },
        { name: 'dns', port: 8080, protocol: 'UDP' },
      ],
      endpoints: pods.map(index => ({
        addresses: [this.deps.cluster.pods[index]?.ip ?? ''],
        nodeName: index < 2 ? 'node-1' : 'node-2',
        conditions: { ready: true },
        ...of(index),
      })),
    };
  }

  async make(service: Service, slice: EndpointSlice): Promise<void> {
    await this.api.create(endpointSlices, slice);
    await this.api.create(services, service);
  }

  async tell({ endpoints }: EndpointSlice): Promise<void> {
    await this.api.patch(endpointSlices, key, { type: 'merge', body: { endpoints } });
  }

  /** Takes back what was made. */
  async clear(): Promise<void> {
    await this.api.delete(services, key);
    await this.api.delete(endpointSlices, key);
  }

  /** Soon exactly these answer. */
  async answer(names: readonly string[], { ip = this.clusterIp, port = 80, from = this.client } = {}): Promise<void> {
    const ask = (times: number): Promise<string[]> => this.lab.names(from, ip, port, times);
    await this.soon(async () => assert.deepEqual(await answering(this.deps.mode, names, ask), names));
  }

  soon<T>(check: () => T | Promise<T>): Promise<T> {
    return eventually(check, waitMs);
  }
}

/** What the pods of a cluster serve besides its own: another port each, and one that keeps connections open. */
export async function serveMore({ lab, pods }: TestCluster): Promise<void> {
  for (const [index, pod] of pods.entries()) {
    await lab.serve(pod, 8081, `other-${index}`);
    await lab.serveHolding(pod, 8082, `pod-${index}`);
  }
}
