import { readFileSync } from 'node:fs';
import https from 'node:https';
import type { Node } from '@naru/api';
import type { Lister } from '@naru/client';
import { refuseUpgrade, type Clock, type Logger } from '@naru/foundation';
import { Counter, Histogram, type Registry } from 'prom-client';
import type { UsageStore } from './usage-store';

export interface ScraperDeps {
  nodes: Lister<Node>;
  store: UsageStore;
  clock: Clock;
  logger: Logger;
  registry: Registry;
  tls: { ca: string; certificate: string; key: string };
  resolutionMs: number;
}

const concurrency = 32;
const timeoutMs = 10_000;
/** A node of 250 pods answers some 200 KB. */
const maxAnswerBytes = 16 * 1024 * 1024;
const defaultKubeletPort = 10_250;
const path = '/metrics/resource';

/** Asks every kubelet for the use of its node and pods, again and again. */
export class Scraper {
  private readonly agent: https.Agent;
  private readonly requests: Counter<'success'>;
  private readonly seconds: Histogram;
  /** Nodes of which it has been said that they do not answer. */
  private readonly silent = new Set<string>();
  private rounds = 0;

  constructor(private readonly deps: ScraperDeps) {
    const { tls, registry } = deps;
    this.agent = new https.Agent({
      ca: readFileSync(tls.ca),
      cert: readFileSync(tls.certificate),
      key: readFileSync(tls.key),
      keepAlive: true,
    });
    this.requests = new Counter({
      name: 'metrics_server_kubelet_request_total',
      help: 'Number of requests sent to Kubelet API',
      labelNames: ['success'],
      registers: [registry],
    });
    this.seconds = new Histogram({
      name: 'metrics_server_kubelet_request_duration_seconds',
      help: 'Duration of requests to Kubelet API in seconds',
      registers: [registry],
    });
  }

  /** Whether every node has been asked at least once. */
  get hasLooked(): boolean {
    return this.rounds > 0;
  }

  /** Until the signal; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, resolutionMs } = this.deps;
    while (!signal.aborted) {
      const begun = clock.now();
      await this.round();
      this.rounds++;
      const left = Math.max(0, begun + resolutionMs - clock.now());
      await clock.sleep(left, signal).catch(() => undefined);
    }
    this.agent.destroy();
  }

  /** Asks each node once. */
  async round(): Promise<void> {
    const waiting = this.deps.nodes.list().flatMap(node => {
      const place = kubeletOf(node);
      return place ? [{ name: node.metadata.name, ...place }] : [];
    });
    const worker = async (): Promise<void> => {
      for (let node = waiting.pop(); node; node = waiting.pop()) await this.scrape(node);
    };
    await Promise.all(Array.from({ length: concurrency }, worker));
  }

  private async scrape({ name, host, port }: { name: string; host: string; port: number }): Promise<void> {
    const { store, clock, logger } = this.deps;
    const observe = this.seconds.startTimer();
    try {
      const text = await this.get(host, port);
      // The node may have gone while it was asked.
      if (this.deps.nodes.get({ name })) store.apply(name, text, clock.now());
      this.requests.inc({ success: 'true' });
      this.silent.delete(name);
    } catch (err) {
      this.requests.inc({ success: 'false' });
      if (!this.silent.has(name)) logger.warn({ err, node: name }, 'a kubelet did not answer');
      this.silent.add(name);
    } finally {
      observe();
    }
  }

  private get(host: string, port: number): Promise<string> {
    return new Promise((resolve, reject) => {
      const signal = AbortSignal.timeout(timeoutMs);
      const request = https.get({ host, port, path, agent: this.agent, signal }, response => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('error', reject);
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > maxAnswerBytes) request.destroy(new Error('the answer is too large'));
          else chunks.push(chunk);
        });
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          if (response.statusCode === 200) resolve(text);
          else reject(new Error(`HTTP ${response.statusCode}: ${text.slice(0, 200)}`));
        });
      });
      refuseUpgrade(request);
      request.on('error', reject);
    });
  }
}

/** Hollow nodes and such have no address to be asked at. */
function kubeletOf({ status }: Node): { host: string; port: number } | undefined {
  const host = status?.addresses?.find(({ type }) => type === 'InternalIP')?.address;
  const port = status?.daemonEndpoints?.kubeletEndpoint?.Port || defaultKubeletPort;
  return host ? { host, port } : undefined;
}
