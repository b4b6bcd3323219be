import { readFileSync } from 'node:fs';
import https from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { StatusError, type Logger } from '@naru/foundation';
import type { FrontProxy } from './front-proxy';
import type { MetricsApi } from './metrics-api';

export interface MetricsServerDeps {
  api: Pick<MetricsApi, 'get'>;
  logger: Logger;
  /** Files. */
  certificate: string;
  key: string;
}

/**
 * The extension server behind the APIService v1beta1.metrics.k8s.io. It answers the aggregation layer of the api-server
 * only, which has found out who asks and whether they may; nobody else has a certificate that counts here.
 */
export class MetricsServer {
  private readonly server: https.Server;
  private readonly pair: { cert: string; key: string };
  private frontProxy: FrontProxy | undefined;

  constructor(private readonly deps: MetricsServerDeps) {
    this.pair = { cert: readFileSync(deps.certificate, 'utf8'), key: readFileSync(deps.key, 'utf8') };
    this.server = https.createServer({
      ...this.pair,
      minVersion: 'TLSv1.2',
      requestCert: true,
      // Who comes without a certificate is told so in HTTP.
      rejectUnauthorized: false,
    });
    this.server.headersTimeout = 10_000;
    this.server.requestTimeout = 30_000;
    this.server.on('request', (request, response) => this.answer(request, response));
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** From now on this is who may ask. */
  trust(frontProxy: FrontProxy): void {
    if (JSON.stringify(frontProxy) === JSON.stringify(this.frontProxy)) return;
    this.server.setSecureContext({ ...this.pair, ca: frontProxy.ca });
    this.frontProxy = frontProxy;
  }

  listen(host: string, port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(port, host, resolve);
    });
  }

  close(): Promise<void> {
    return new Promise(resolve => {
      this.server.close(() => resolve());
      this.server.closeAllConnections();
    });
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    request.resume();
    try {
      this.authenticate(request.socket as TLSSocket);
      if (request.method !== 'GET' && request.method !== 'HEAD')
        throw new StatusError('MethodNotAllowed', 'the server does not allow this method on the requested resource');
      const url = new URL(request.url ?? '/', 'https://metrics-server');
      this.send(response, 200, this.deps.api.get(url.pathname, url.searchParams));
    } catch (error) {
      const status = error instanceof StatusError ? error : toStatus(error, this.deps.logger);
      // A connection is judged by whom was trusted when it was made.
      if (status.reason === 'Unauthorized') response.shouldKeepAlive = false;
      this.send(response, status.code, status.toStatus());
    }
  }

  private authenticate(socket: TLSSocket): void {
    const names = this.frontProxy?.allowedNames ?? [];
    const name = String(socket.authorized ? ([socket.getPeerCertificate().subject?.CN].flat().at(-1) ?? '') : '');
    if (!this.frontProxy || name === '' || (names.length > 0 && !names.includes(name)))
      throw new StatusError('Unauthorized', 'Unauthorized');
  }

  private send(response: ServerResponse, code: number, body: unknown): void {
    response.writeHead(code, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
  }
}

function toStatus(error: unknown, logger: Logger): StatusError {
  if (error instanceof URIError) return new StatusError('BadRequest', 'the path is not properly encoded');
  logger.error({ err: error }, 'request failed');
  return new StatusError('InternalError', 'Internal error occurred', { cause: error });
}
