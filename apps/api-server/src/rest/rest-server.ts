import http2, { type Http2SecureServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { StatusError, type Logger } from '@naru/foundation';
import { refuseUpgrade } from '@naru/streaming';
import type { Authenticator } from '../auth/authenticator';
import type { Authorizer } from '../auth/authorizer';
import { actingUser } from '../auth/impersonation';
import type { FlowControl } from '../flowcontrol/flow-control';
import type { Seat } from '../flowcontrol/priority-level';
import { badRequest, pageNotFound } from '../objects/failures';
import type { UserInfo } from '../objects/request';
import type { HttpRequest, HttpResponse } from './http';
import type { RequestMetrics } from './metrics';
import { parsePath, type RequestInfo } from './request-info';
import { verbOf, type ResourceCall, type ResourceHandler } from './resource-handler';
import { sendError } from './respond';

/** A URL outside the resources. Answers true when it was its own. */
export interface Route {
  /** Called before authentication: for the doors of those who have no identity yet. */
  open?: boolean;
  handle(call: RouteCall): Promise<boolean>;
}

export interface RouteCall {
  request: HttpRequest;
  response: HttpResponse;
  path: string;
  query: URLSearchParams;
  /** The anonymous user for open routes. */
  user: UserInfo;
}

export interface UpgradeCall extends ResourceCall {
  socket: Duplex;
  head: Buffer;
}

/** Requests to resources that are not objects: logs, exec, proxies. Undefined: not this one's business. */
export interface Connector {
  handle(call: ResourceCall): Promise<void> | undefined;
  upgrade(call: UpgradeCall): Promise<void> | undefined;
}

export interface RestServerDeps {
  logger: Logger;
  tls: { certificate: string; key: string; ca: string };
  authenticator: Authenticator;
  authorizer: Authorizer;
  resources: ResourceHandler;
  routes: readonly Route[];
  connector: Connector;
  metrics: RequestMetrics;
  flowControl: FlowControl;
  maxInflight?: number;
  limits?: Partial<ConnectionLimits>;
}

/** How long clients may take. */
export interface ConnectionLimits {
  handshakeMs: number;
  /** A connection without a request, new or kept alive. */
  idleMs: number;
  /** From a request's headers to the end of its body. */
  bodyMs: number;
  /** The whole of a request, unless it is one that goes on: a watch, a proxy, logs. */
  requestMs: number;
}

const defaultLimits: ConnectionLimits = { handshakeMs: 15_000, idleMs: 90_000, bodyMs: 60_000, requestMs: 60_000 };

const nobody: UserInfo = { username: 'system:anonymous', groups: ['system:unauthenticated'] };
const longRunning = new Set(['watch', 'connect']);
/** What they do is not said by the method. */
const connectSubresources = new Set(['attach', 'exec', 'portforward', 'proxy']);

/** The HTTPS door: HTTP/1.1 and HTTP/2 on one port. */
export class RestServer {
  readonly server: Http2SecureServer;
  private readonly running = new Set<AbortController>();
  private readonly users = new WeakMap<object, UserInfo>();
  private readonly sockets = new Set<Socket>();
  /** Connections, by HTTP/2 session or socket: how many requests run, and what closes them when none does. */
  private readonly connections = new WeakMap<object, { requests: number; close(): void; timer: NodeJS.Timeout }>();
  private readonly limits: ConnectionLimits;
  private inflight = { readOnly: 0, mutating: 0 };

  constructor(private readonly deps: RestServerDeps) {
    const { certificate, key, ca } = deps.tls;
    this.limits = { ...defaultLimits, ...deps.limits };
    this.server = http2.createSecureServer({
      allowHTTP1: true,
      cert: certificate,
      key,
      ca,
      requestCert: true,
      rejectUnauthorized: false,
      handshakeTimeout: this.limits.handshakeMs,
      settings: { maxConcurrentStreams: 1000, initialWindowSize: 1024 * 1024 },
    });
    this.server.on('request', (request, response) =>
      this.onRequest(request as unknown as HttpRequest, response as unknown as HttpResponse),
    );
    this.server.on('upgrade', (request: HttpRequest, socket: Duplex, head: Buffer) =>
      this.onUpgrade(request, socket, head),
    );
    this.server.on('secureConnection', socket => {
      this.sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('close', () => this.sockets.delete(socket));
      if (socket.alpnProtocol !== 'h2') this.watchIdleness(socket, () => socket.destroy());
      // A client that resets its connection is no event of ours.
      socket.on('error', () => undefined);
    });
    this.server.on('session', session => {
      // A client that is about to send learns from GOAWAY that it has to use another connection.
      this.watchIdleness(session, () => {
        session.close();
        setTimeout(() => session.destroy(), 1000).unref();
      });
    });
    this.server.on('tlsClientError', () => this.deps.metrics.tlsError());
    this.server.on('sessionError', () => undefined);
  }

  /** Listens on HOST:PORT; port 0 picks a free one. */
  async listen(address: string): Promise<AddressInfo> {
    const at = address.lastIndexOf(':');
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(Number(address.slice(at + 1)), address.slice(0, at).replace(/^\[|\]$/g, ''), resolve);
    });
    return this.server.address() as AddressInfo;
  }

  /** Ends watches cleanly, waits for running requests for `graceMs`, then cuts what is left. */
  async close(graceMs = 2000): Promise<void> {
    const reason = new StatusError('ServiceUnavailable', 'the server is shutting down');
    for (const controller of this.running) controller.abort(reason);
    const closed = new Promise<void>(resolve => this.server.close(() => resolve()));
    const cut = setTimeout(() => {
      for (const socket of this.sockets) socket.destroy();
    }, graceMs);
    // Idle keep-alive connections would hold the server open for nothing.
    while (this.inflight.readOnly + this.inflight.mutating > 0 && this.sockets.size > 0)
      await new Promise(resolve => setTimeout(resolve, 10));
    for (const socket of this.sockets) socket.destroySoon();
    await closed;
    clearTimeout(cut);
  }

  private onRequest(request: HttpRequest, response: HttpResponse): void {
    const startedMs = performance.now();
    const kind = request.method === 'GET' || request.method === 'HEAD' ? 'readOnly' : 'mutating';
    const target = {
      group: '',
      version: '',
      resource: '',
      subresource: '',
      verb: (request.method ?? '').toLowerCase(),
    };
    const controller = new AbortController();
    this.running.add(controller);
    const connection = connectionOf(request);
    this.changeRequests(connection, 1);
    const bodyTimer = this.limitBody(request, response);
    let deadline: NodeJS.Timeout | undefined;
    let counted = true;
    let seat: Seat | undefined;
    const enter = async (user: UserInfo, info: RequestInfo): Promise<void> => {
      const entered = this.enter(response, { user, info, verb: target.verb }, controller.signal);
      seat = entered instanceof Promise ? await entered : entered;
      // Who has gone while waiting does not come back to give up the seat.
      if (response.destroyed) seat?.release();
    };
    this.deps.metrics.setInflight(kind, ++this.inflight[kind]);
    const leave = (): void => {
      if (!counted) return;
      counted = false;
      this.deps.metrics.setInflight(kind, --this.inflight[kind]);
    };
    response.on('close', () => {
      leave();
      seat?.release();
      clearTimeout(bodyTimer);
      clearTimeout(deadline);
      this.changeRequests(connection, -1);
      this.running.delete(controller);
      if (!response.writableFinished && !longRunning.has(target.verb)) this.deps.metrics.abort(target.verb);
      if (!response.writableFinished) controller.abort(new StatusError('Timeout', 'the client has gone'));
      const seconds = (performance.now() - startedMs) / 1000;
      this.deps.metrics.observe(target.verb, target, response.statusCode, longRunning.has(target.verb) ? 0 : seconds);
    });
    response.on('error', () => undefined);
    const serve = async (): Promise<void> => {
      if (this.inflight[kind] > (this.deps.maxInflight ?? 4000)) {
        this.deps.metrics.drop(kind);
        throw new StatusError('TooManyRequests', 'Too many requests, please try again later.', {
          details: { retryAfterSeconds: 1 },
        });
      }
      const { info, query } = parseUrl(request);
      if (info.resource) {
        const isConnect = connectSubresources.has(info.resource.subresource);
        const verb = isConnect ? 'connect' : verbOf(request.method, info.resource, query);
        Object.assign(target, info.resource, { verb });
        const goesOn = longRunning.has(verb) || info.resource.subresource === 'log';
        if (goesOn) leave();
        else deadline = this.limitRequest(request, response, query, controller);
        const user = await this.authenticate(request);
        await enter(user, info);
        // What runs for long would keep its seat from others; a watch has been served when it has begun.
        if (goesOn) seat?.release();
        const call = { request, response, user, path: info.resource, query, signal: controller.signal };
        await (this.deps.connector.handle(call) ?? this.deps.resources.handle(call));
        return;
      }
      target.resource = '';
      await this.route(request, response, info, query, enter);
    };
    serve().catch((error: unknown) => this.fail(request, response, error));
  }

  private async route(
    request: HttpRequest,
    response: HttpResponse,
    info: RequestInfo,
    query: URLSearchParams,
    enter: (user: UserInfo, info: RequestInfo) => Promise<void>,
  ): Promise<void> {
    const call = { request, response, path: info.path, query };
    for (const route of this.deps.routes) if (route.open && (await route.handle({ ...call, user: nobody }))) return;
    const user = await this.authenticate(request);
    await enter(user, info);
    this.deps.authorizer.require({
      user,
      verb: (request.method ?? 'GET').toLowerCase(),
      group: '',
      version: '',
      resource: '',
      subresource: '',
      namespace: '',
      name: '',
      path: info.path,
    });
    for (const route of this.deps.routes) if (!route.open && (await route.handle({ ...call, user }))) return;
    throw pageNotFound();
  }

  /** Classifies a request, tells its client how, and finds it a seat. */
  private enter(
    response: HttpResponse,
    { user, info, verb }: { user: UserInfo; info: RequestInfo; verb: string },
    signal: AbortSignal,
  ): Seat | Promise<Seat> | undefined {
    const { flowControl } = this.deps;
    const digest = { user, verb, path: info.path, resource: info.resource };
    const found = flowControl.classify(digest);
    if (!found) return undefined;
    response.setHeader('X-Kubernetes-PF-FlowSchema-UID', found.schema.uid);
    response.setHeader('X-Kubernetes-PF-PriorityLevel-UID', found.level.uid);
    return flowControl.enter(found, digest, signal);
  }

  private watchIdleness(connection: Duplex | ServerHttp2Session, close: () => void): void {
    const state = { requests: 0, close, timer: setTimeout(close, this.limits.idleMs).unref() };
    this.connections.set(connection, state);
    connection.once('close', () => clearTimeout(this.connections.get(connection)?.timer));
  }

  /** A connection with a running request, a watch for example, is not idle however quiet it is. */
  private changeRequests(connection: object, by: 1 | -1): void {
    const state = this.connections.get(connection);
    if (!state) return;
    state.requests += by;
    clearTimeout(state.timer);
    if (state.requests === 0) state.timer = setTimeout(state.close, this.limits.idleMs).unref();
  }

  /** Cuts off a client that does not send the body it has announced. */
  private limitBody(request: HttpRequest, response: HttpResponse): NodeJS.Timeout | undefined {
    if (request.method === 'GET' || request.method === 'HEAD') return undefined;
    const timer = setTimeout(() => {
      if (request.complete || response.destroyed) return;
      this.fail(request, response, new StatusError('Timeout', 'the body of the request did not arrive in time'));
      setTimeout(() => response.destroy(), 1000).unref();
    }, this.limits.bodyMs).unref();
    request.once('end', () => clearTimeout(timer));
    return timer;
  }

  /** Ends a request that takes too long, be it our work or a client that does not take its answer. */
  private limitRequest(
    request: HttpRequest,
    response: HttpResponse,
    query: URLSearchParams,
    controller: AbortController,
  ): NodeJS.Timeout {
    const ms = Math.min(parseTimeout(query.get('timeout')) ?? this.limits.requestMs, this.limits.requestMs);
    return setTimeout(() => {
      const why = 'Timeout: request did not complete within the requested timeout - context deadline exceeded';
      const error = new StatusError('Timeout', why);
      controller.abort(error);
      this.fail(request, response, error);
    }, ms).unref();
  }

  private onUpgrade(request: HttpRequest, socket: Duplex, head: Buffer): void {
    this.changeRequests(socket, 1);
    const controller = new AbortController();
    socket.on('close', () => controller.abort(new StatusError('Timeout', 'the client has gone')));
    socket.on('error', () => undefined);
    const serve = async (): Promise<void> => {
      const { info, query } = parseUrl(request);
      if (!info.resource) throw pageNotFound();
      const user = await this.authenticate(request);
      const response = undefined as unknown as HttpResponse;
      const call = { request, response, user, path: info.resource, query, signal: controller.signal, socket, head };
      const running = this.deps.connector.upgrade(call);
      if (!running) throw badRequest('the requested resource does not support upgrades');
      await running;
    };
    serve().catch((error: unknown) => refuseUpgrade(socket, this.toStatusError(request, error)));
  }

  private async authenticate(request: HttpRequest): Promise<UserInfo> {
    return actingUser(await this.identify(request), request, this.deps.authorizer);
  }

  /** A verified certificate wins over headers; it is looked at once per connection. */
  private async identify(request: HttpRequest): Promise<UserInfo> {
    const owner = connectionOf(request);
    const known = this.users.get(owner);
    if (known) return known;
    const socket = (owner as { socket?: TLSSocket }).socket ?? (owner as TLSSocket);
    if (socket.authorized) {
      const user = this.deps.authenticator.byCertificate(socket.getPeerCertificate());
      if (user) {
        this.users.set(owner, user);
        return user;
      }
    }
    return this.deps.authenticator.byHeader(request.headers.authorization ?? webSocketToken(request));
  }

  private fail(request: HttpRequest, response: HttpResponse, error: unknown): void {
    if (response.destroyed) return;
    // The rest of a refused body is not read: the connection cannot carry another request.
    const unread = !request.complete && request.method !== 'GET' && request.method !== 'HEAD';
    if (unread && request.httpVersionMajor === 1 && !response.headersSent) response.setHeader('connection', 'close');
    sendError(response, this.toStatusError(request, error));
  }

  private toStatusError(request: HttpRequest, error: unknown): StatusError {
    if (error instanceof StatusError) return error;
    this.deps.logger.error({ err: error, method: request.method, path: request.url?.split('?')[0] }, 'request failed');
    return new StatusError('InternalError', `Internal error occurred: ${(error as Error).message}`, { cause: error });
  }
}

/** The `timeout` of a URL, in Go's notation: "32s", "1m30s". */
function parseTimeout(text: string | null): number | undefined {
  if (!text) return undefined;
  const units: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|h|m|s)/g)];
  const ms = parts.reduce((sum, [, number, unit]) => sum + Number(number) * (units[unit!] ?? 0), 0);
  if (parts.map(([part]) => part).join('') !== text || ms <= 0)
    throw badRequest(`invalid timeout specified in the request URL - ${JSON.stringify(text)} is no positive duration`);
  return ms;
}

/** What stands for the connection: an HTTP/2 session or a socket. */
function connectionOf(request: HttpRequest): object {
  if (request.httpVersionMajor === 1) return request.socket;
  return (request as unknown as { stream: ServerHttp2Stream }).stream.session ?? request.socket;
}

/** Browsers cannot set headers on a WebSocket, so the token may travel as a protocol. */
function webSocketToken(request: HttpRequest): string | undefined {
  const prefix = 'base64url.bearer.authorization.k8s.io.';
  const protocols = request.headers['sec-websocket-protocol']?.split(',').map(protocol => protocol.trim()) ?? [];
  const found = protocols.find(protocol => protocol.startsWith(prefix));
  return found && `Bearer ${Buffer.from(found.slice(prefix.length), 'base64url').toString()}`;
}

function parseUrl(request: HttpRequest): { info: RequestInfo; query: URLSearchParams } {
  const url = request.url ?? '/';
  const at = url.indexOf('?');
  const path = at < 0 ? url : url.slice(0, at);
  return { info: parsePath(path), query: new URLSearchParams(at < 0 ? '' : url.slice(at + 1)) };
}
