import http from 'node:http';
import https from 'node:https';
import { StatusError, type Status } from '@naru/foundation';
import type { RestConfig } from './kubeconfig';

export interface RestRequest {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** With the query. */
  path: string;
  body?: unknown;
  contentType?: string;
  /** Silence for so long ends the request with Timeout. */
  timeoutMs: number;
  signal?: AbortSignal | undefined;
}

const maxSockets = 32;
const keepAliveMs = 15_000;

/** Requests to one Kubernetes API server over HTTP/1.1 connections that are kept. */
export class RestConnection {
  private readonly base: URL;
  private readonly agent: https.Agent;
  /** Watches last: they must not take the places of other requests. */
  private readonly watchAgent: https.Agent;

  constructor(
    private readonly config: RestConfig,
    /** Names the program to the server. */
    private readonly userAgent: string,
  ) {
    this.base = new URL(config.server);
    const { ca, certificate, key, serverName, insecure } = config;
    const options: https.AgentOptions = {
      keepAlive: true,
      keepAliveMsecs: keepAliveMs,
      rejectUnauthorized: !insecure,
      ...(ca ? { ca } : {}),
      ...(certificate && key ? { cert: certificate, key } : {}),
      ...(serverName ? { servername: serverName } : {}),
    };
    const { Agent } = this.base.protocol === 'http:' ? http : https;
    this.agent = new Agent({ ...options, maxSockets }) as https.Agent;
    this.watchAgent = new Agent(options) as https.Agent;
  }

  /** The answer's body. @throws StatusError with the server's Status, or ServiceUnavailable, or Timeout. */
  async call(request: RestRequest): Promise<Buffer> {
    const response = await this.send(request, this.agent);
    const body = await bodyOf(response, request.signal);
    if ((response.statusCode ?? 0) >= 400) throw failure(response, body);
    return body;
  }

  /** The answer as it comes; ends with the signal. */
  async open(request: RestRequest): Promise<http.IncomingMessage> {
    const response = await this.send(request, this.watchAgent);
    if ((response.statusCode ?? 0) >= 400) throw failure(response, await bodyOf(response, request.signal));
    return response;
  }

  close(): void {
    this.agent.destroy();
    this.watchAgent.destroy();
  }

  private async send(request: RestRequest, agent: https.Agent): Promise<http.IncomingMessage> {
    const { method, path, body, contentType = 'application/json', timeoutMs, signal } = request;
    const data = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const authorization = await this.config.authorization();
    const options: https.RequestOptions = {
      method,
      agent,
      hostname: this.base.hostname,
      port: this.base.port,
      path: this.base.pathname.replace(/\/$/, '') + path,
      timeout: timeoutMs,
      ...(signal ? { signal } : {}),
      headers: {
        accept: 'application/json',
        'user-agent': this.userAgent,
        ...(authorization ? { authorization } : {}),
        ...(data ? { 'content-type': contentType, 'content-length': data.length } : {}),
      },
    };
    return new Promise((resolve, reject) => {
      const outgoing = (this.base.protocol === 'http:' ? http : https).request(options, resolve);
      outgoing.on('timeout', () =>
        outgoing.destroy(new StatusError('Timeout', `the api-server did not answer in ${timeoutMs} ms`)),
      );
      outgoing.on('error', error => reject(unreachable(error, signal)));
      outgoing.end(data);
    });
  }
}

async function bodyOf(response: http.IncomingMessage, signal: AbortSignal | undefined): Promise<Buffer> {
  const parts: Buffer[] = [];
  try {
    for await (const part of response) parts.push(part as Buffer);
  } catch (error) {
    throw unreachable(error as Error, signal);
  }
  return Buffer.concat(parts);
}

export function unreachable(error: Error, signal: AbortSignal | undefined): Error {
  if (signal?.aborted) return signal.reason as Error;
  if (error instanceof StatusError) return error;
  return new StatusError('ServiceUnavailable', `the api-server did not answer: ${error.message}`, { cause: error });
}

function failure({ statusCode = 0 }: http.IncomingMessage, body: Buffer): StatusError {
  const text = body.toString();
  try {
    const status = JSON.parse(text) as Partial<Status>;
    if (status.kind === 'Status') return StatusError.fromStatus(status);
  } catch {
    // Not from an API server, or from what stands before it: the code alone has to do.
  }
  const reason = statusCode === 401 ? 'Unauthorized' : statusCode === 429 ? 'TooManyRequests' : 'ServiceUnavailable';
  return new StatusError(reason, `the api-server answered ${statusCode}: ${text.slice(0, 200)}`);
}
