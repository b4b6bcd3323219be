import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { until } from './until';

export interface EtcdTestOptions {
  /** PEM files; clients must then show a certificate of the same authority. */
  tls?: { ca: string; certificate: string; key: string };
  quotaBytes?: number;
  /** Names of all members of the cluster, this one's first; absent: alone. */
  members?: { name: string; peerPort: number }[];
}

/** A free TCP port of the loopback interface; free when it was asked for. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise(resolve => server.close(resolve));
  return port;
}

/** A real etcd on loopback, for tests. It can be killed and started again on the same port and data. */
export class EtcdTestServer {
  private child: ChildProcess | undefined;
  private readonly directory = mkdtempSync(path.join(tmpdir(), 'naru-etcd-'));

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
      'data-dir': this.directory,
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
    this.child = spawn(
      'etcd',
      Object.entries(args).map(([name, value]) => `--${name}=${value}`),
      { stdio: 'ignore' },
    );
    const { child } = this;
    const failed = new Promise<never>((_, reject) => child.once('error', reject));
    await Promise.race([failed, until(() => this.answers())]);
  }

  /** Ends it at once, as a crash would. */
  async kill(): Promise<void> {
    const { child } = this;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise(resolve => child.once('exit', resolve));
    child.kill('SIGKILL');
    await exited;
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }

  private answers(): Promise<boolean> {
    const { tls } = this.options;
    const files = tls && { ca: readFileSync(tls.ca), cert: readFileSync(tls.certificate), key: readFileSync(tls.key) };
    return new Promise(resolve => {
      const request = (tls ? https : http).get(`${this.url}/health`, { ...files, agent: false }, response => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.on('end', () => resolve(text.includes('"true"')));
      });
      request.on('error', () => resolve(false));
    });
  }
}
