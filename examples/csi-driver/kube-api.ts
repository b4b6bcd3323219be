import { readFileSync } from 'node:fs';
import https from 'node:https';

const account = '/var/run/secrets/kubernetes.io/serviceaccount';

export class ApiError extends Error {
  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message);
  }
}

/** The Kubernetes API, as a pod reaches it with its service account. */
export class KubeApi {
  private constructor(private readonly base: { host: string; port: string; ca: Buffer }) {}

  /** Undefined outside of a pod. */
  static fromPod(): KubeApi | undefined {
    const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = process.env;
    return host ? new KubeApi({ host, port, ca: readFileSync(`${account}/ca.crt`) }) : undefined;
  }

  /** Throws ApiError for everything but success. */
  async request<T>(method: string, path: string, body?: unknown): Promise<T> {
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const response = await this.open(method, path, body === undefined ? undefined : JSON.stringify(body), type);
    let text = '';
    for await (const chunk of response) text += String(chunk);
    const answer = JSON.parse(text) as T & { message?: string };
    const code = response.statusCode ?? 0;
    if (code >= 300) throw new ApiError(code, answer.message ?? text);
    return answer;
  }

  /** Calls `onChange` for each event of a watch, until it ends. */
  async watch(path: string, signal: AbortSignal, onChange: () => void): Promise<void> {
    const response = await this.open('GET', `${path}?watch=true`);
    const end = (): void => void response.destroy();
    signal.addEventListener('abort', end, { once: true });
    try {
      for await (const _chunk of response) onChange();
    } finally {
      signal.removeEventListener('abort', end);
    }
  }

  private open(method: string, path: string, body?: string, type = 'application/json') {
    return new Promise<import('node:http').IncomingMessage>((resolve, reject) => {
      // The token is replaced from time to time.
      const authorization = `Bearer ${readFileSync(`${account}/token`, 'utf8')}`;
      const headers = { authorization, 'content-type': type, accept: 'application/json' };
      https
        .request({ ...this.base, method, path, headers, agent: false }, resolve)
        .on('error', reject)
        .end(body);
    });
  }
}
