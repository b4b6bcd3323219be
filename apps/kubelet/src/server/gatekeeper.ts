import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { subjectAccessReviews, tokenReviews, type KubeObject } from '@naru/api';
import type { ObjectsClient } from '@naru/client';
import { BoundedMap, StatusError, type Clock } from '@naru/foundation';
import { requestAttributes, type RequestAttributes } from './request-attributes';

export interface Caller {
  user: string;
  uid?: string;
  groups: string[];
  extra?: Record<string, string[]>;
}

export interface GatekeeperDeps {
  client: Pick<ObjectsClient, 'create'>;
  clock: Clock;
  nodeName: string;
}

interface Remembered<T> {
  value: T;
  untilMs: number;
}

/** Upstream's authentication.webhook.cacheTTL, authorization.webhook.cacheAuthorizedTTL and cacheUnauthorizedTTL. */
const tokenTtlMs = 120_000;
const allowedTtlMs = 300_000;
const deniedTtlMs = 30_000;
/** The oldest goes for a new one. */
const maxRemembered = 1_000;

/**
 * Who may use the node's API: the api-server and the cluster's administrators always, so that it works while nothing else
 * does; others, by client certificate or bearer token, as the api-server says in TokenReviews and SubjectAccessReviews.
 */
export class Gatekeeper {
  private readonly callers = new BoundedMap<string, Remembered<Caller | undefined>>(maxRemembered);
  private readonly decisions = new BoundedMap<string, Remembered<boolean>>(maxRemembered);

  constructor(private readonly deps: GatekeeperDeps) {}

  /** `route` is the first part of the path, as the server reads it. @throws StatusError Unauthorized or Forbidden */
  async check(request: IncomingMessage, route: string): Promise<Caller> {
    const caller = byCertificate(request.socket as TLSSocket) ?? (await this.byToken(request.headers.authorization));
    if (!caller) throw new StatusError('Unauthorized', 'Unauthorized');
    if (caller.user === 'kube-apiserver' || caller.groups.includes('system:masters')) return caller;
    const attributes = requestAttributes(request.method ?? 'GET', route);
    for (const each of attributes) if (await this.isAllowed(caller, each)) return caller;
    const [{ verb, subresource }] = attributes;
    throw new StatusError(
      'Forbidden',
      `Forbidden (user=${caller.user}, verb=${verb}, resource=nodes, subresource(s)=[${attributes.map(each => each.subresource).join(' ')}])`,
      { details: { name: this.deps.nodeName, kind: `nodes/${subresource}` } },
    );
  }

  private async byToken(authorization: string | undefined): Promise<Caller | undefined> {
    const token = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
    if (!token) return undefined;
    return this.remember(this.callers, token, async () => {
      const { authenticated, user } = await this.review(tokenReviews, { token });
      if (!authenticated || !user) return { value: undefined, ttlMs: tokenTtlMs };
      const { username = '', uid, groups = [], extra } = user;
      const caller = { user: username, groups, ...(uid ? { uid } : {}), ...(extra ? { extra } : {}) };
      return { value: caller, ttlMs: tokenTtlMs };
    });
  }

  private isAllowed(caller: Caller, { verb, subresource }: RequestAttributes): Promise<boolean> {
    const resourceAttributes = { verb, version: 'v1', resource: 'nodes', subresource, name: this.deps.nodeName };
    const spec = { ...caller, resourceAttributes };
    return this.remember(this.decisions, JSON.stringify(spec), async () => {
      const { allowed = false } = await this.review(subjectAccessReviews, spec);
      return { value: allowed, ttlMs: allowed ? allowedTtlMs : deniedTtlMs };
    });
  }

  private async review(type: typeof tokenReviews, spec: unknown): Promise<ReviewStatus> {
    const question = { apiVersion: `${type.group}/${type.version}`, kind: type.kind, spec };
    const answer = await this.deps.client.create<KubeObject & { status?: ReviewStatus }>(type, question);
    return answer.status ?? {};
  }

  private async remember<T>(
    cache: Map<string, Remembered<T>>,
    key: string,
    ask: () => Promise<{ value: T; ttlMs: number }>,
  ): Promise<T> {
    const now = this.deps.clock.now();
    const known = cache.get(key);
    if (known && known.untilMs > now) return known.value;
    const { value, ttlMs } = await ask();
    cache.set(key, { value, untilMs: now + ttlMs });
    return value;
  }
}

interface ReviewStatus {
  allowed?: boolean;
  authenticated?: boolean;
  user?: { username?: string; uid?: string; groups?: string[]; extra?: Record<string, string[]> };
}

function byCertificate(socket: TLSSocket): Caller | undefined {
  if (!socket.authorized) return undefined;
  const { subject } = socket.getPeerCertificate();
  const user = [subject?.CN].flat().at(-1) ?? '';
  return user === '' ? undefined : { user, groups: [[subject?.O ?? []].flat(), 'system:authenticated'].flat() };
}
