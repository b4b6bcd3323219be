import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import type { Duplex } from 'node:stream';
import type { ConnectionOptions } from 'node:tls';
import { StatusError } from '@naru/foundation';

/** Where an upgrade goes: a TCP address or a unix socket, plain or TLS. */
export interface UpgradeTarget {
  host?: string;
  port?: number;
  /** A unix socket; wins over host and port. */
  socketPath?: string;
  /** Makes the connection; absent: a plain one to host and port. */
  agent?: http.Agent;
  /** Present: speak TLS, with these options (ca, cert, key, servername, ...). */
  tls?: ConnectionOptions;
  /** Path and query as the target sees them. */
  path: string;
  /** The incoming request's method if absent. */
  method?: string;
  /** Added to the incoming headers; `undefined` removes one. Names in lower case. */
  headers?: Record<string, string | undefined>;
}

/** What Node's 'upgrade' event gives. */
export interface IncomingUpgrade {
  request: IncomingMessage;
  socket: Duplex;
  head: Buffer;
}

export interface UpgradeProxyOptions {
  /** From the first packet to the target's answer. */
  handshakeTimeoutMs?: number;
  /** Both directions silent for so long ends the stream; 0 means never. Upstream's streaming idle timeout is 4 h. */
  idleTimeoutMs?: number;
  signal?: AbortSignal;
}

/** The most that an answer that refuses the upgrade may carry. */
const maxRefusalBytes = 1 << 20;
/** After its last byte, how long one side may stay when the other has gone. */
const closeTimeoutMs = 5_000;
const tokenProtocol = 'base64url.bearer.authorization.k8s.io.';
/** The caller's credentials were meant for us and do not travel on. */
const notForwarded = new Set(['host', 'authorization', 'cookie', 'proxy-authorization', 'content-length']);

function forwardedHeaders(request: IncomingMessage, target: UpgradeTarget): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(request.headersDistinct)) {
    if (value === undefined || notForwarded.has(name)) continue;
    headers[name] = value.length === 1 ? value[0]! : value;
  }
  const protocols = request.headers['sec-websocket-protocol'];
  if (protocols?.includes(tokenProtocol)) {
    const kept = protocols.split(',').map(part => part.trim());
    headers['sec-websocket-protocol'] = kept.filter(part => !part.startsWith(tokenProtocol)).join(', ');
  }
  for (const [name, value] of Object.entries(target.headers ?? {})) {
    if (value === undefined) delete headers[name];
    else headers[name] = value;
  }
  headers['connection'] = 'Upgrade';
  headers['upgrade'] = request.headers.upgrade ?? 'SPDY/3.1';
  headers['content-length'] = '0';
  return headers;
}

function responseHead(response: IncomingMessage, drop: ReadonlySet<string> = new Set()): string {
  const lines = [`HTTP/1.1 ${response.statusCode} ${response.statusMessage ?? ''}`];
  for (let i = 0; i + 1 < response.rawHeaders.length; i += 2) {
    const name = response.rawHeaders[i]!;
    if (!drop.has(name.toLowerCase())) lines.push(`${name}: ${response.rawHeaders[i + 1]!}`);
  }
  return lines.join('\r\n');
}

/** Answers an upgrade with a Kubernetes Status and closes the connection. */
export function refuseUpgrade(socket: Duplex, error: StatusError): void {
  const body = JSON.stringify(error.toStatus());
  const phrase = http.STATUS_CODES[error.code] ?? error.reason;
  socket.on('error', () => undefined);
  socket.end(
    `HTTP/1.1 ${error.code} ${phrase}\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}

interface Accepted {
  response: IncomingMessage;
  upstream: Duplex;
  head: Buffer;
}

interface Refused {
  response: IncomingMessage;
  body: Buffer;
}

function readRefusal(response: IncomingMessage): Promise<Refused> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    response.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= maxRefusalBytes) chunks.push(chunk);
      else response.destroy(new Error('the answer is too large'));
    });
    response.on('end', () => resolve({ response, body: Buffer.concat(chunks) }));
    response.on('error', reject);
  });
}

function handshake(
  { request, socket }: IncomingUpgrade,
  target: UpgradeTarget,
  options: UpgradeProxyOptions,
): Promise<Accepted | Refused> {
  const timeoutMs = options.handshakeTimeoutMs ?? 30_000;
  return new Promise((resolve, reject) => {
    const where = target.socketPath
      ? { socketPath: target.socketPath }
      : { host: target.host ?? '127.0.0.1', ...(target.port === undefined ? {} : { port: target.port }) };
    const requestOptions = {
      ...where,
      method: target.method ?? request.method ?? 'GET',
      path: target.path,
      headers: forwardedHeaders(request, target),
      agent: target.agent ?? (false as const),
      ...(options.signal ? { signal: options.signal } : {}),
    };
    const outgoing = target.tls
      ? https.request({ ...target.tls, ...requestOptions } as https.RequestOptions)
      : http.request(requestOptions);
    // The handshake's bound covers the whole of it; a socket timeout would only cover silence.
    const timer = setTimeout(
      () => outgoing.destroy(new StatusError('Timeout', `no answer to the upgrade within ${timeoutMs} ms`)),
      timeoutMs,
    );
    const callerLeft = (): void => void outgoing.destroy(new Error('the caller closed the connection'));
    const settle = (): void => {
      clearTimeout(timer);
      socket.off('close', callerLeft);
    };
    socket.once('close', callerLeft);
    outgoing.on('upgrade', (response, upstream, head) => {
      settle();
      resolve({ response, upstream, head });
    });
    outgoing.on('response', response => {
      readRefusal(response).then(resolve, reject).finally(settle);
    });
    outgoing.on('error', cause => {
      settle();
      if (cause instanceof StatusError) return reject(cause);
      reject(new StatusError('ServiceUnavailable', `error dialing the streaming backend: ${cause.message}`, { cause }));
    });
    outgoing.end();
  });
}

function join(caller: Duplex, upstream: Duplex, options: UpgradeProxyOptions): Promise<void> {
  const idleMs = options.idleTimeoutMs ?? 4 * 3600 * 1000;
  return new Promise(resolve => {
    let open = 2;
    let timer: NodeJS.Timeout | undefined;
    const destroy = (): void => {
      caller.destroy();
      upstream.destroy();
    };
    const touch = (): void => {
      if (idleMs === 0) return;
      if (timer) timer.refresh();
      else {
        timer = setTimeout(destroy, idleMs);
        timer.unref();
      }
    };
    const closed = (): void => {
      if (--open > 0) return;
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', destroy);
      resolve();
    };
    for (const [from, to] of [
      [caller, upstream],
      [upstream, caller],
    ] as const) {
      from.on('data', touch);
      // Its close follows.
      from.on('error', () => undefined);
      from.once('close', () => {
        // What is still in the other side's write buffer has to go out before it closes, as slowly as that side reads.
        to.end(() => {
          const left = setTimeout(() => to.destroy(), closeTimeoutMs);
          left.unref();
          to.once('close', () => clearTimeout(left));
        });
        to.resume();
        closed();
      });
      from.pipe(to);
    }
    options.signal?.addEventListener('abort', destroy, { once: true });
    touch();
  });
}

/**
 * Hands an HTTP upgrade on to `target` and then carries bytes both ways until either side closes, which is when it
 * resolves. The bytes are not looked at, so every protocol (SPDY/3.1, WebSocket) passes.
 *
 * When the target refuses (any answer but 101) its answer is relayed and the connection closed: it is never joined, so
 * that no second request of the caller can reach the target past our authorization (CVE-2018-1002105).
 * Throws StatusError (ServiceUnavailable, Timeout) when the target cannot be reached; nothing has been written to the
 * caller then: answer with `refuseUpgrade`.
 */
export async function proxyUpgrade(
  incoming: IncomingUpgrade,
  target: UpgradeTarget,
  options: UpgradeProxyOptions = {},
): Promise<void> {
  const { socket, head } = incoming;
  const ignore = (): void => undefined;
  socket.on('error', ignore);
  const answer = await handshake(incoming, target, options);
  if ('body' in answer) {
    const drop = new Set(['connection', 'transfer-encoding', 'content-length', 'keep-alive']);
    socket.write(`${responseHead(answer.response, drop)}\r\ncontent-length: ${answer.body.length}\r\n`);
    socket.end(Buffer.concat([Buffer.from('connection: close\r\n\r\n'), answer.body]));
    return;
  }
  const { upstream } = answer;
  if (socket.destroyed) {
    upstream.destroy();
    return;
  }
  if ('setNoDelay' in upstream) (upstream as import('node:net').Socket).setNoDelay(true);
  if ('setNoDelay' in socket) (socket as import('node:net').Socket).setNoDelay(true);
  socket.write(`${responseHead(answer.response)}\r\n\r\n`);
  if (answer.head.length > 0) socket.write(answer.head);
  if (head.length > 0) upstream.write(head);
  await join(socket, upstream, options);
}
