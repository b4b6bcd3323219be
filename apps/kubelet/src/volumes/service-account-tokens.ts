import { serviceAccounts, type KubeObject } from '@naru/api';
import type { ObjectsClient } from '@naru/client';
import { BoundedMap, type Clock } from '@naru/foundation';
import type { TokenRequestInput } from './plugin';

interface TokenRequest extends KubeObject {
  spec: { audiences: string[]; expirationSeconds: number; boundObjectRef: Record<string, string> };
  status?: { token: string; expirationTimestamp: string };
}

interface Entry {
  value: Promise<{ token: string; refreshAt: number }>;
  uid: string;
}

const maxEntries = 2_048;
const maxTtlMs = 24 * 3600_000;

/** Tokens of service accounts, bound to their pod. Source of the times: pkg/kubelet/token: at 80 % of its life, or a day. */
export class ServiceAccountTokens {
  private readonly entries = new BoundedMap<string, Entry>(maxEntries);

  constructor(private readonly deps: { client: ObjectsClient; clock: Clock }) {}

  readonly get = async (input: TokenRequestInput): Promise<string> => {
    const key = JSON.stringify([input.pod.uid, input.serviceAccount, input.audiences, input.expirationSeconds]);
    const known = await this.entries.get(key)?.value;
    if (known && known.refreshAt > this.deps.clock.now()) return known.token;
    const value = this.request(input);
    this.entries.set(key, { value, uid: input.pod.uid });
    value.catch(() => this.entries.delete(key));
    return (await value).token;
  };

  /** Drops the tokens of a pod that is gone. */
  forget(uid: string): void {
    for (const [key, entry] of this.entries) if (entry.uid === uid) this.entries.delete(key);
  }

  private async request(input: TokenRequestInput): Promise<{ token: string; refreshAt: number }> {
    const { client, clock } = this.deps;
    const now = clock.now();
    const answer = await client.createSubresource<TokenRequest>(
      serviceAccounts,
      { namespace: input.namespace, name: input.serviceAccount },
      'token',
      {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: {
          audiences: input.audiences,
          expirationSeconds: input.expirationSeconds,
          boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: input.pod.name, uid: input.pod.uid },
        },
      },
    );
    if (!answer.status) throw new Error('the answer to a token request has no status');
    const lifeMs = Date.parse(answer.status.expirationTimestamp) - now;
    return { token: answer.status.token, refreshAt: now + Math.min(lifeMs * 0.8, maxTtlMs) };
  }
}
