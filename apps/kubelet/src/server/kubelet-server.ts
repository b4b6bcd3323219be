import fs from 'node:fs';
import https from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { StatusError, type Logger } from '@naru/foundation';
import { refuseUpgrade } from '@naru/streaming';
import type { KubeletMetrics } from '../metrics/kubelet-metrics';
import type { Gatekeeper } from './gatekeeper';

export interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  url: URL;
  /** The parts of the path after the route's own. */
  parts: string[];
}

export interface UpgradeExchange {
  request: IncomingMessage;
  socket: Duplex;
  head: Buffer;
  url: URL;
  parts: string[];
}

export type Routes<E> = Record<string, (exchange: E) => Promise<void>>;

export interface KubeletServerDeps {
  host: string;
  port: number;
  tls: { ca: string; certificate: string; key: string };
  gatekeeper: Gatekeeper;
  logger: Logger;
  metrics: Pick<KubeletMetrics, 'httpRequests' | 'httpSeconds'>;
}

function toStatusError(error: unknown): StatusError {
  if (error instanceof StatusError) return error;
  return new StatusError('InternalError', (error as Error).message, { cause: error });
}

/** Parses the target of a request; its parts are decoded one by one, so that none can smuggle a slash. */
function parseTarget(target: string): { url: URL; first: string; parts: string[] } {
  const url = new URL(target, 'https://kubelet');
  let decoded: string[];
  try {
    decoded = url.pathname.split('/').filter(Boolean).map(decodeURIComponent);
  } catch {
    throw new StatusError('BadRequest', 'the path is not properly encoded');
  }
  const [first = '', ...parts] = decoded;
  if (parts.some(part => part.includes('/') || part === '..')) throw new StatusError('BadRequest', 'invalid path');
  return { url, first, parts };
}

/** The node's own HTTPS API on port 10250. Every request needs the certificate of somebody who may. */
export class KubeletServer {
  private server: https.Server | undefined;
  private routes: Routes<Exchange> = {};
  private upgrades: Routes<UpgradeExchange> = {};

  constructor(private readonly deps: KubeletServerDeps) {}

  get port(): number {
    const address = this.server?.address() as AddressInfo | null | undefined;
    return address?.port ?? this.deps.port;
  }

  /** Says what answers: the first part of a path names its route. */
  serve(routes: Routes<Exchange>, upgrades: Routes<UpgradeExchange>): void {
    this.routes = routes;
    this.upgrades = upgrades;
  }

  async listen(): Promise<void> {
    const { tls, host, port, logger } = this.deps;
    const server = https.createServer({
      ca: fs.readFileSync(tls.ca),
      cert: fs.readFileSync(tls.certificate),
      key: fs.readFileSync(tls.key),
      minVersion: 'TLSv1.2',
      requestCert: true,
      // Whoever comes without a certificate is told so in HTTP.
      rejectUnauthorized: false,
    });
    server.headersTimeout = 10_000;
    server.on('request', (request, response) => void this.answer(request, response));
    server.on('upgrade', (request, socket, head) => void this.upgrade(request, socket, head));
    server.on('tlsClientError', err => logger.debug({ err }, 'TLS handshake failed'));
    this.server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, resolve);
    });
  }

  async close(): Promise<void> {
    const { server } = this;
    if (!server) return;
    await new Promise<void>(resolve => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const { url, first, parts } = parseTarget(request.url ?? '/');
      await this.deps.gatekeeper.check(request, first);
      const { routes, upgrades } = this;
      const route = Object.hasOwn(routes, first) ? routes[first] : undefined;
      if (route) this.measure(request, response, url, first);
      if (route) return await route({ request, response, url, parts });
      if (Object.hasOwn(upgrades, first)) throw new StatusError('BadRequest', 'Upgrade request required');
      throw new StatusError('NotFound', `404 page not found: ${url.pathname}`);
    } catch (error) {
      this.fail(response, toStatusError(error));
    }
  }

  private measure(request: IncomingMessage, response: ServerResponse, url: URL, first: string): void {
    const { httpRequests, httpSeconds } = this.deps.metrics;
    // The first part alone: names of pods would be labels without end.
    const long = url.searchParams.get('follow') === 'true';
    const labels = { method: request.method ?? '', path: first, server_type: 'readwrite', long_running: String(long) };
    httpRequests.inc(labels);
    const observe = httpSeconds.startTimer(labels);
    response.once('close', () => observe());
  }

  private fail(response: ServerResponse, error: StatusError): void {
    if (error.reason === 'InternalError') this.deps.logger.warn({ err: error }, 'request failed');
    if (response.headersSent) {
      response.destroy();
      return;
    }
    // Upstream's kubelet answers in plain words, and the api-server passes them on.
    response.writeHead(error.code, { 'content-type': 'text/plain; charset=utf-8' }).end(error.message);
  }

  private async upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on('error', () => undefined);
    try {
      const { url, first, parts } = parseTarget(request.url ?? '/');
      await this.deps.gatekeeper.check(request, first);
      const { upgrades } = this;
      const route = Object.hasOwn(upgrades, first) ? upgrades[first] : undefined;
      if (!route) throw new StatusError('NotFound', `404 page not found: ${url.pathname}`);
      await route({ request, socket, head, url, parts });
    } catch (error) {
      refuseUpgrade(socket, toStatusError(error));
    }
  }
}
