import { createHash, timingSafeEqual } from 'node:crypto';
import type { PeerCertificate } from 'node:tls';
import { StatusError, type Clock } from '@naru/foundation';
import type { UserInfo } from '../objects/request';
import type { WatchCache } from '../storage/watch-cache';
import { defaultAudience, type ServiceAccountTokens, type VerifiedToken } from './service-account-tokens';

export interface AuthenticatorDeps {
  clock: Clock;
  staticTokens: ReadonlyMap<string, UserInfo>;
  serviceAccountTokens: ServiceAccountTokens;
  caches: { serviceAccounts: WatchCache; pods: WatchCache; nodes: WatchCache; secrets: WatchCache };
}

const authenticated = 'system:authenticated';
const anonymous: UserInfo = { username: 'system:anonymous', groups: ['system:unauthenticated'] };

/** Finds out who is calling. */
export class Authenticator {
  private readonly staticTokens = new Map<string, UserInfo>();

  constructor(private readonly deps: AuthenticatorDeps) {
    // By hash: looking one up must not tell, by its timing, how much of a guess was right.
    for (const [token, user] of deps.staticTokens) this.staticTokens.set(hash(token), withAuthenticated(user));
  }

  /** The user of a verified client certificate: CN is the name, O are the groups. */
  byCertificate(certificate: Pick<PeerCertificate, 'subject'>): UserInfo | undefined {
    const { CN, O } = (certificate.subject ?? {}) as { CN?: string | string[]; O?: string | string[] };
    const username = [CN ?? []].flat()[0];
    if (!username) return undefined;
    return withAuthenticated({ username, groups: [O ?? []].flat() });
  }

  /** @throws StatusError Unauthorized for a token that nobody knows. Without a header: the anonymous user. */
  async byHeader(authorization: string | undefined): Promise<UserInfo> {
    if (authorization === undefined || authorization === '') return anonymous;
    const token = /^Bearer +(\S+)$/i.exec(authorization)?.[1];
    const user = token && (await this.byToken(token));
    if (!user) throw new StatusError('Unauthorized', 'Unauthorized');
    return user;
  }

  async byToken(token: string, audiences: string[] = [defaultAudience]): Promise<UserInfo | undefined> {
    const user = this.staticTokens.get(hash(token));
    if (user) return user;
    // Tokens that are no JWT need no signature check.
    if (token.split('.').length !== 3) return undefined;
    const verified = await this.deps.serviceAccountTokens.verify(token, this.deps.clock.now());
    if (!verified || !verified.audiences.some(audience => audiences.includes(audience))) return undefined;
    return this.isBacked(verified) ? serviceAccountUser(verified) : undefined;
  }

  /** A token ends with its service account, and with the pod, node or secret that it is bound to. */
  private isBacked({ namespace, serviceAccount, pod, node, secret }: VerifiedToken): boolean {
    const { serviceAccounts, pods, nodes, secrets } = this.deps.caches;
    if (serviceAccounts.get(namespace, serviceAccount.name)?.uid !== serviceAccount.uid) return false;
    if (pod && pods.get(namespace, pod.name)?.uid !== pod.uid) return false;
    if (secret && secrets.get(namespace, secret.name)?.uid !== secret.uid) return false;
    return pod !== undefined || !node || nodes.get('', node.name)?.uid === node.uid;
  }
}

function serviceAccountUser({ namespace, serviceAccount, pod, node, id }: VerifiedToken): UserInfo {
  const extra: Record<string, string[]> = { 'authentication.kubernetes.io/credential-id': [`JTI=${id}`] };
  if (pod) {
    extra['authentication.kubernetes.io/pod-name'] = [pod.name];
    extra['authentication.kubernetes.io/pod-uid'] = [pod.uid];
  }
  if (node) extra['authentication.kubernetes.io/node-name'] = [node.name];
  return withAuthenticated({
    username: `system:serviceaccount:${namespace}:${serviceAccount.name}`,
    uid: serviceAccount.uid,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`],
    extra,
  });
}

function withAuthenticated(user: UserInfo): UserInfo {
  return user.groups.includes(authenticated) ? user : { ...user, groups: [...user.groups, authenticated] };
}

function hash(token: string): string {
  return createHash('sha256').update(token).digest('base64');
}

/** True when the texts are equal; takes the same time however much of them is. */
export function equalSecrets(a: string, b: string): boolean {
  return timingSafeEqual(createHash('sha256').update(a).digest(), createHash('sha256').update(b).digest());
}
