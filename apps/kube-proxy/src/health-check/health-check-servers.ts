import http from 'node:http';
import type { Service } from '@naru/api';
import type { Logger } from '@naru/foundation';
import { listenPatiently, type PatientListener } from '../patient-listener';

/** What a load balancer may ask of one Service with externalTrafficPolicy Local: has this node endpoints of it? */
export interface ServiceHealth {
  readonly service: Service;
  /** spec.healthCheckNodePort. */
  readonly port: number;
  readonly localEndpoints: number;
}

export interface HealthCheckServersDeps {
  logger: Logger;
  /** False when the rules do not follow any more: then nothing should be sent here. */
  isHealthy: () => boolean;
  /** Somebody else has the port. */
  onProblem: (service: ServiceHealth, message: string) => void;
  /** Where to listen; default: on every address of the node. */
  host?: string;
}

interface Listener {
  close(): Promise<void>;
}

interface Running {
  listener: PatientListener<Listener>;
  health: ServiceHealth;
}

/** One small HTTP server for each health check node port (upstream's pkg/proxy/healthcheck). */
export class HealthCheckServers {
  private readonly running = new Map<string, Running>();

  constructor(private readonly deps: HealthCheckServersDeps) {}

  /** A Service of both families has one server; its endpoints are the same pods in both. */
  follow(desired: readonly { healthChecks(): Iterable<ServiceHealth> }[]): Promise<void> {
    const all = new Map<string, ServiceHealth>();
    for (const health of desired.flatMap(state => [...state.healthChecks()])) {
      const other = all.get(nameOf(health));
      if (!other || other.localEndpoints < health.localEndpoints) all.set(nameOf(health), health);
    }
    return this.sync(all.values());
  }

  /** Exactly these Services are answered for from now on. */
  async sync(wanted: Iterable<ServiceHealth>): Promise<void> {
    const byName = new Map([...wanted].map(health => [nameOf(health), health]));
    for (const [key, { listener, health }] of this.running) {
      if (byName.get(key)?.port === health.port) continue;
      this.running.delete(key);
      await listener.close();
    }
    for (const [key, health] of byName) {
      const present = this.running.get(key);
      if (present) present.health = health;
      else await this.open(key, health);
    }
  }

  stop(): Promise<void> {
    return this.sync([]);
  }

  private async open(key: string, health: ServiceHealth): Promise<void> {
    const { port } = health;
    let isKnown = false;
    const listener = await listenPatiently({
      listen: () => this.listen(key, port),
      onFailure: (err, retryInMs) => {
        this.deps.logger.error({ err, service: key, port, retryInMs }, 'cannot serve the health check node port');
        if (isKnown) return;
        isKnown = true;
        const { message } = err as Error;
        this.deps.onProblem(health, `node port ${port} of the health check cannot be served: ${message}`);
      },
    });
    this.running.set(key, { listener, health });
  }

  private listen(key: string, port: number): Promise<Listener> {
    const server = http.createServer((_, response) => this.answer(key, response));
    server.headersTimeout = 5_000;
    server.maxConnections = 100;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      const { host } = this.deps;
      server.listen({ port, ...(host ? { host } : {}) }, () => resolve({ close: () => close(server) }));
    });
  }

  private answer(key: string, response: http.ServerResponse): void {
    const health = this.running.get(key)?.health;
    const localEndpoints = health?.localEndpoints ?? 0;
    const serviceProxyHealthy = this.deps.isHealthy();
    const { namespace = '', name = '' } = health?.service.metadata ?? {};
    response.writeHead(localEndpoints > 0 && serviceProxyHealthy ? 200 : 503, {
      'Content-Type': 'application/json',
      'X-Content-Type-Options': 'nosniff',
      'X-Load-Balancing-Endpoint-Weight': String(localEndpoints),
    });
    response.end(JSON.stringify({ service: { namespace, name }, localEndpoints, serviceProxyHealthy }));
  }
}

function nameOf({ service: { metadata } }: ServiceHealth): string {
  return `${metadata?.namespace ?? ''}/${metadata?.name ?? ''}`;
}

function close(server: http.Server): Promise<void> {
  return new Promise(resolve => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
