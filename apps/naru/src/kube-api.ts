import { readFileSync } from 'node:fs';
import https from 'node:https';
import type { Node, ObjectList, Stored } from '@naru/api';
import { StatusError, type Status } from '@naru/foundation';

export interface KubeApiOptions {
  host: string;
  port: number;
  /** PEM. */
  ca: string;
  /** PEM pair; absent for requests that need no identity. */
  certificate?: string;
  key?: string;
  /** False only for fetching the authority itself, which is then checked against the token's hash. */
  verify?: boolean;
}

/** The little of the Kubernetes API that the command needs, over plain REST with a client certificate. */
export class KubeApi {
  private readonly agent: https.Agent;

  constructor(private readonly options: KubeApiOptions) {
    const { ca, certificate, key, verify = true } = options;
    this.agent = new https.Agent({
      ...(ca ? { ca } : {}),
      ...(certificate && key ? { cert: certificate, key } : {}),
      rejectUnauthorized: verify,
      keepAlive: true,
    });
  }

  /** With the administrator's certificate from a cluster's pki folder. */
  static asAdmin(host: string, port: number, folder: string): KubeApi {
    const read = (name: string): string => readFileSync(`${folder}/${name}`, 'utf8');
    return new KubeApi({
      host,
      port,
      ca: read('ca.crt'),
      certificate: read('client.crt'),
      key: read('client.key'),
    });
  }

  /** Rejects with a StatusError; ServiceUnavailable when the server cannot be reached. `timeoutMs` defaults to 30,000. */
  request<T>(
    method: string,
    path: string,
    {
      body,
      headers = {},
      timeoutMs = 30_000,
    }: { body?: unknown; headers?: Record<string, string>; timeoutMs?: number } = {},
  ): Promise<T> {
    const { host, port } = this.options;
    const payload = body === undefined ? undefined : JSON.stringify(body);
    return new Promise<T>((resolve, reject) => {
      const unavailable = (cause: Error): void =>
        reject(
          new StatusError('ServiceUnavailable', `cannot reach https://${host}:${port}: ${cause.message}`, { cause }),
        );
      const request = https.request(
        {
          host,
          port,
          path,
          method,
          agent: this.agent,
          signal: AbortSignal.timeout(timeoutMs),
          headers: { ...(payload ? { 'content-type': 'application/json' } : {}), ...headers },
        },
        response => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', unavailable);
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString('utf8');
            const code = response.statusCode ?? 500;
            if (code >= 400) return reject(toError(code, text));
            const json = response.headers['content-type']?.includes('json');
            resolve((json ? JSON.parse(text) : text) as T);
          });
        },
      );
      request.on('error', unavailable);
      request.end(payload);
    });
  }

  async isReady(): Promise<boolean> {
    try {
      await this.request('GET', '/readyz', { timeoutMs: 2_000 });
      return true;
    } catch {
      return false;
    }
  }

  /** Gives up soon: it is asked again and again. */
  async listNodes(path = '/api/v1/nodes'): Promise<Stored<Node>[]> {
    return (await this.request<ObjectList<Stored<Node>>>('GET', path, { timeoutMs: 5_000 })).items;
  }

  close(): void {
    this.agent.destroy();
  }
}

function toError(code: number, text: string): StatusError {
  try {
    return StatusError.fromStatus({ code, ...(JSON.parse(text) as Partial<Status>) });
  } catch {
    return new StatusError('InternalError', `HTTP ${code}: ${text.slice(0, 200)}`, { code });
  }
}

type NodeCondition = NonNullable<NonNullable<Node['status']>['conditions']>[number];

/** The kubelet's last word on the node, unless it is from before `since`; the API tells times in whole seconds. */
function readyCondition({ status }: Node, since: number): NodeCondition | undefined {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  const reported = Date.parse(ready?.lastHeartbeatTime ?? '') || 0;
  return reported >= Math.floor(since / 1000) * 1000 ? ready : undefined;
}

/**
 * True when the kubelet has said that the node is ready, and nobody has given up on it since. With `since` (milliseconds
 * since the epoch) only what it has said from then on counts.
 */
export function isNodeReady(node: Node, since = 0): boolean {
  return readyCondition(node, since)?.status === 'True';
}

/** True when the node is ready, or would be with a pod network that is not this cluster's to bring. */
export function isNodeUp(node: Node, podNetwork: string, since = 0): boolean {
  if (isNodeReady(node, since)) return true;
  return podNetwork === 'none' && readyCondition(node, since)?.message?.includes('NetworkPluginNotReady') === true;
}
