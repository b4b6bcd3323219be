import http, { type IncomingHttpHeaders, type OutgoingHttpHeaders, type IncomingMessage } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import https from 'node:https';
import { pipeline, type Duplex } from 'node:stream';
import { refuseUpgrade, StatusError } from '@naru/foundation';
import type { HttpRequest, HttpResponse } from './http';

export interface ProxyTarget {
  secure: boolean;
  host: string;
  port: number;
  /** Path and query. */
  path: string;
  agent: http.Agent;
  /** What is trusted, and which certificate is shown. */
  tls?: Pick<https.RequestOptions, 'ca' | 'cert' | 'key' | 'servername' | 'rejectUnauthorized'>;
  /** Over the client's headers; `undefined` takes one away. Names in lower case. */
  headers?: Record<string, string | string[] | undefined>;
}

export interface ProxyRewrite {
  /** Looks at the answer's headers, may change them, and may give streams for the body to go through. */
  (headers: OutgoingHttpHeaders, code: number): Promise<Duplex[]>;
}

/** They speak of one connection only, or of who the client is to us. */
const ownHeaders = new Set([
  ...[
    'connection',
    'keep-alive',
    'proxy-connection',
    'te',
    'trailer',
    'transfer-encoding',
    'upgrade',
    'http2-settings',
  ],
  ...['authorization', 'proxy-authorization', 'proxy-authenticate'],
]);

/** The client's headers as they travel on: the address they come from is added, credentials stay here. */
export function forwardedHeaders(request: HttpRequest): OutgoingHttpHeaders {
  const headers = passedOn(request.headers);
  const before = request.headers['x-forwarded-for'];
  const address = request.socket?.remoteAddress;
  if (address) headers['x-forwarded-for'] = before ? `${String(before)}, ${address}` : address;
  return headers;
}

function passedOn(incoming: IncomingHttpHeaders): OutgoingHttpHeaders {
  const named = new Set(
    String(incoming.connection ?? '')
      .toLowerCase()
      .split(',')
      .map(name => name.trim()),
  );
  const headers: OutgoingHttpHeaders = {};
  for (const [name, value] of Object.entries(incoming)) {
    if (value === undefined || ownHeaders.has(name) || named.has(name)) continue;
    if (name.startsWith(':') || name.startsWith('impersonate-')) continue;
    headers[name] = value;
  }
  return headers;
}

/**
 * Passes a request on and the answer back as it comes. Resolves when the answer is through.
 * @throws StatusError ServiceUnavailable, in upstream's words, when there is no answer
 */
export async function relayHttp(
  { request, response, signal }: { request: HttpRequest; response: HttpResponse; signal: AbortSignal },
  target: ProxyTarget,
  rewrite?: ProxyRewrite,
): Promise<void> {
  const incoming = await ask(request, target, signal);
  incoming.on('error', () => response.destroy());
  const headers = passedOn(incoming.headers);
  const code = incoming.statusCode ?? 502;
  const through = (await rewrite?.(headers, code)) ?? [];
  if (through.length > 0) delete headers['content-length'];
  response.writeHead(code, headers);
  response.flushHeaders?.();
  await new Promise<void>(resolve => {
    response.once('close', () => {
      incoming.destroy();
      resolve();
    });
    // An answer that breaks off breaks off for the client too.
    pipeline([incoming, ...through, response], error => {
      if (error) response.destroy();
      resolve();
    });
  });
}

function ask(request: HttpRequest, target: ProxyTarget, signal: AbortSignal): Promise<IncomingMessage> {
  const { secure, host, port, path, agent, tls } = target;
  const headers = forwardedHeaders(request);
  for (const [name, value] of Object.entries(target.headers ?? {})) {
    if (value === undefined) delete headers[name];
    else headers[name] = value;
  }
  const hasBody = bringsBody(request);
  if (hasBody && headers['content-length'] === undefined) headers['transfer-encoding'] = 'chunked';
  return new Promise((resolve, reject) => {
    const options = { host, port, path, agent, method: request.method ?? 'GET', headers, signal };
    const outgoing = secure ? https.request({ ...options, ...tls }) : http.request(options);
    refuseUpgrade(outgoing);
    outgoing.once('response', resolve);
    outgoing.once('error', (cause: NodeJS.ErrnoException) => {
      // A kept connection may be closed by the other side just as it is used again: that says nothing about the target.
      if (outgoing.reusedSocket && !hasBody && cause.code === 'ECONNRESET')
        return resolve(ask(request, target, signal));
      const message = `error trying to reach service: ${cause.message}`;
      reject(new StatusError('ServiceUnavailable', message, { cause }));
    });
    if (hasBody) request.pipe(outgoing);
    else outgoing.end();
  });
}

/** HTTP/2 need not announce a body: there, the end of the headers says whether one follows. */
function bringsBody(request: HttpRequest): boolean {
  if (request.httpVersionMajor === 2)
    return !(request as unknown as { stream: ServerHttp2Stream }).stream.endAfterHeaders;
  return request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined;
}
