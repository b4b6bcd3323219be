import { createServer as createHttp } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Endpoints } from '@naru/api';
import { createAuthority } from '@naru/pki';
import { eventually } from '@naru/testing';
import { api, patienceMs } from './api';

/** A server on this machine, which pods and nodes reach, that remembers what it was asked. */
export class Heard {
  private readonly paths: string[] = [];
  private readonly http = createHttp((request, response) => this.hear(request.url, response));

  private constructor(
    readonly host: string,
    private readonly https: ReturnType<typeof createHttps>,
  ) {}

  static async start(): Promise<Heard> {
    // Where the cluster reaches this machine is where it reaches the api-server.
    const { subsets } = await api.get<Endpoints>('/api/v1/namespaces/default/endpoints/kubernetes');
    const host = subsets?.[0]?.addresses?.[0]?.ip ?? '';
    // Hooks take any certificate.
    const { certificate: cert, key } = await createAuthority();
    const heard: Heard = new Heard(
      host,
      createHttps({ cert, key }, (request, response) => heard.hear(`tls:${request.url}`, response)),
    );
    for (const server of [heard.http, heard.https])
      await new Promise<void>(resolve => server.listen(0, host, () => resolve()));
    return heard;
  }

  get httpPort(): number {
    return (this.http.address() as AddressInfo).port;
  }

  get httpsPort(): number {
    return (this.https.address() as AddressInfo).port;
  }

  /** Requests over TLS begin with "tls:". */
  async until(path: string): Promise<void> {
    await eventually(() => expect(this.paths).toContain(path), patienceMs);
  }

  has(path: string): boolean {
    return this.paths.includes(path);
  }

  close(): void {
    for (const server of [this.http, this.https]) {
      server.close();
      server.closeAllConnections();
    }
  }

  private hear(path: string | undefined, response: { end(): unknown }): void {
    this.paths.push(path ?? '');
    response.end();
  }
}
