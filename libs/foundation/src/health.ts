import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { Registry, collectDefaultMetrics } from 'prom-client';

/** A named check; it throws, with the reason, when the process is not healthy. */
export interface HealthCheck {
  name: string;
  check: () => Promise<void> | void;
}

export interface HealthServerOptions {
  /** `host:port` or `[host]:port`; port 0 picks a free one. */
  address: string;
  /** For `[::]:port` beside `0.0.0.0:port`: by itself the former takes connections of both families. */
  ipv6Only?: boolean;
  metrics: Registry;
  /** Failing ones make /healthz and /livez answer 500: the process should be restarted. */
  live?: HealthCheck[];
  /** Failing ones make /readyz answer 500 in addition: the process should not be used yet. */
  ready?: HealthCheck[];
  /** Facts that /healthz answers with as JSON, in place of plain text. */
  describe?: () => Record<string, unknown>;
}

/** A metrics registry with Node's own process metrics in it. */
export function createMetrics(): Registry {
  const registry = new Registry();
  // The library's own 10 ms would wake every process a hundred times a second.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 500 });
  return registry;
}

/** Runs every check; the text is upstream's verbose form: `[+]name ok` or `[-]name failed: why`. */
export async function runChecks(checks: HealthCheck[]): Promise<{ healthy: boolean; report: string }> {
  const lines = await Promise.all(
    checks.map(async ({ name, check }) => {
      try {
        await check();
        return { healthy: true, text: `[+]${name} ok` };
      } catch (error) {
        return { healthy: false, text: `[-]${name} failed: ${(error as Error).message}` };
      }
    }),
  );
  return { healthy: lines.every(line => line.healthy), report: lines.map(line => line.text).join('\n') };
}

/** Serves /healthz, /livez, /readyz and /metrics in plain HTTP; meant for loopback addresses. */
export async function serveHealth(options: HealthServerOptions): Promise<{ port: number; close: () => Promise<void> }> {
  const { live = [], ready = [], metrics } = options;
  const server = http.createServer((request, response) => {
    const answer = async (): Promise<void> => {
      const path = new URL(request.url ?? '/', 'http://localhost').pathname;
      if (path === '/metrics') {
        response.setHeader('content-type', metrics.contentType);
        response.end(await metrics.metrics());
        return;
      }
      if (!['/healthz', '/livez', '/readyz'].includes(path)) {
        response.writeHead(404).end('not found\n');
        return;
      }
      const { healthy, report } = await runChecks(path === '/readyz' ? [...live, ...ready] : live);
      const verbose = request.url?.includes('verbose');
      if (options.describe && path === '/healthz' && !verbose) {
        response.writeHead(healthy ? 200 : 503, { 'content-type': 'application/json' });
        response.end(`${JSON.stringify(options.describe())}\n`);
        return;
      }
      response.writeHead(healthy ? 200 : 500, { 'content-type': 'text/plain' });
      response.end(
        healthy && !verbose ? 'ok' : `${report}\n${healthy ? `${path.slice(1)} check passed` : 'check failed'}\n`,
      );
    };
    answer().catch(() => response.destroy());
  });
  server.headersTimeout = 5_000;
  const at = options.address.lastIndexOf(':');
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    const host = options.address.slice(0, at).replace(/^\[(.*)\]$/, '$1');
    const port = Number(options.address.slice(at + 1));
    server.listen({ port, host, ipv6Only: options.ipv6Only === true }, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
