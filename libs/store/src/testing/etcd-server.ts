import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { ServerProcess, freePort } from '@naru/foundation/testing';

export interface EtcdTestOptions {
  /** PEM files; clients must then show a certificate of the same authority. */
  tls?: { ca: string; certificate: string; key: string };
  quotaBytes?: number;
  /** Names of all members of the cluster, this one's first; absent: alone. */
  members?: { name: string; peerPort: number }[];
}

/** A real etcd on loopback, for tests. It can be killed and started again on the same port and data. */
export class EtcdTestServer {
  private readonly process = new ServerProcess('etcd');

  private constructor(
    private readonly port: number,
    private readonly members: readonly { name: string; peerPort: number }[],
    private readonly options: EtcdTestOptions,
  ) {}

  static async start(options: EtcdTestOptions = {}): Promise<EtcdTestServer> {
    const members = options.members ?? [{ name: 'default', peerPort: await freePort() }];
    const server = new EtcdTestServer(await freePort(), members, options);
    await server.start();
    return server;
  }

  /** Several members that make one cluster. */
  static async cluster(size: number): Promise<EtcdTestServer[]> {
    const members: { name: string; peerPort: number }[] = [];
    for (let i = 0; i < size; i++) members.push({ name: `member-${i}`, peerPort: await freePort() });
    return Promise.all(
      members.map(me => EtcdTestServer.start({ members: [me, ...members.filter(other => other !== me)] })),
    );
  }

  get url(): string {
    return `${this.options.tls ? 'https' : 'http'}://127.0.0.1:${this.port}`;
  }

  /** Resolves when it answers: with several members, when a majority is there. */
  async start(): Promise<void> {
    const { tls, quotaBytes } = this.options;
    const [me] = this.members;
    const peerOf = ({ peerPort }: { peerPort: number }): string => `http://127.0.0.1:${peerPort}`;
    const args = {
      name: me!.name,
      'data-dir': this.process.directory,
      'listen-client-urls': this.url,
      'advertise-client-urls': this.url,
      'listen-peer-urls': peerOf(me!),
      'initial-advertise-peer-urls': peerOf(me!),
      'initial-cluster': this.members.map(member => `${member.name}=${peerOf(member)}`).join(','),
      ...(quotaBytes ? { 'quota-backend-bytes': String(quotaBytes) } : {}),
      ...(tls
        ? { 'cert-file': tls.certificate, 'key-file': tls.key, 'trusted-ca-file': tls.ca, 'client-cert-auth': 'true' }
        : {}),
    };
    await this.process.start(
      Object.entries(args).map(([name, value]) => `--${name}=${value}`),
      () => this.ask(),
    );
  }

  /** Ends it at once, as a crash would. */
  kill(): Promise<void> {
    return this.process.kill();
  }

  stop(): Promise<void> {
    return this.process.stop();
  }

  private ask(): Promise<void> {
    const { tls } = this.options;
    const files = tls && { ca: readFileSync(tls.ca), cert: readFileSync(tls.certificate), key: readFileSync(tls.key) };
    return new Promise((resolve, reject) => {
      const request = (tls ? https : http).get(`${this.url}/health`, { ...files, agent: false }, response => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.on('end', () => (text.includes('"true"') ? resolve() : reject(new Error(`etcd says ${text}`))));
      });
      request.on('error', reject);
    });
  }
}
