import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import { silentLogger, systemClock } from '@naru/foundation';
import { Authority, createAuthority, createKey } from '@naru/pki';
import { LmdbDriver } from '@naru/store';
import { ApiServer, type ApiServerDeps } from '../api-server';

export interface Reply {
  code: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
  /** The body parsed as JSON. */
  json: JsonObject;
}

/** What tests look into without caring for types. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- answers are looked at field by field, and jest compares
type JsonObject = Record<string, any>;

export interface TestServer {
  server: ApiServer;
  folder: string;
  port: number;
  grpcPort: number;
  /** PEM; a kubelet of a test may show it too. */
  serving: { certificate: string; key: string };
  /** PEM files: ca, and NAME.crt and NAME.key of each identity. */
  files: {
    ca: string;
    certificate(name: string): string;
    key(name: string): string;
    kubeconfig: string;
    kubeconfigOf(name: string): string;
  };
  /** A request as `token`'s user; the default is an administrator, "" nobody. */
  call(method: string, url: string, body?: unknown, options?: CallOptions): Promise<Reply>;
  close(): Promise<void>;
}

export interface CallOptions {
  headers?: Record<string, string>;
  token?: string;
  /** Speak as this identity's client certificate, not by token. */
  identity?: string;
}

/** An administrator, and a user without any rights. */
export const tokens = { admin: 'admin-token', nobody: 'nobody-token' };
export const joinSecret = 'join-secret';

const identities: Record<string, { commonName: string; organizations?: string[] }> = {
  admin: { commonName: 'kubernetes-admin', organizations: ['system:masters'] },
  scheduler: { commonName: 'system:kube-scheduler' },
  'controller-manager': { commonName: 'system:kube-controller-manager' },
  'node-1': { commonName: 'system:node:node-1', organizations: ['system:nodes'] },
};

/** A whole api-server on free loopback ports, with a real LMDB in a folder of its own. */
export async function startTestServer(overrides: Partial<ApiServerDeps> = {}): Promise<TestServer> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'naru-api-'));
  const authority = await Authority.load(await createAuthority());
  const ca = authority.certificate;
  const serving = await authority.issue({
    subject: { commonName: 'kube-apiserver' },
    usages: ['server'],
    dnsNames: ['kubernetes', 'localhost'],
    ipAddresses: ['127.0.0.1'],
  });
  const client = await authority.issue({
    subject: { commonName: 'kube-apiserver', organizations: ['system:masters'] },
    usages: ['client'],
  });
  writeFileSync(path.join(folder, 'ca.crt'), ca);
  const pems: Record<string, { certificate: string; key: string }> = {};
  for (const [name, subject] of Object.entries(identities)) {
    pems[name] = await authority.issue({ subject, usages: ['client'] });
    writeFileSync(path.join(folder, `${name}.crt`), pems[name].certificate);
    writeFileSync(path.join(folder, `${name}.key`), pems[name].key);
  }
  const server = await ApiServer.build({
    logger: silentLogger,
    clock: systemClock,
    store: overrides.store ?? (await LmdbDriver.open({ directory: path.join(folder, 'data') })),
    ca,
    authority,
    serving,
    client,
    serviceAccountKey: createKey(),
    staticTokens: new Map([
      [tokens.admin, { username: 'admin', groups: ['system:masters'] }],
      [tokens.nobody, { username: 'nobody', groups: [] }],
    ]),
    joinSecrets: () => Promise.resolve([joinSecret]),
    clusterInfo: () => Promise.resolve({ clusterName: 'test' }),
    services: { clusterIPRange: '10.96.0.0/16', nodePortRange: '30000-32767' },
    admission: { defaultTolerations: { notReadySeconds: 300, unreachableSeconds: 300 } },
    advertise: { address: '127.0.0.1', port: 6443 },
    ...overrides,
  });
  const { rest, grpcPort } = await server.listen('127.0.0.1:0', '127.0.0.1:0');
  const agent = new https.Agent({ keepAlive: true, ca });
  const kubeconfigOf = (name: string): string => {
    const file = path.join(folder, `${name}.kubeconfig`);
    writeFileSync(file, JSON.stringify(kubeconfigFor(rest.port, folder, name)));
    return file;
  };
  return {
    server,
    folder,
    port: rest.port,
    grpcPort,
    serving,
    files: {
      ca: path.join(folder, 'ca.crt'),
      certificate: name => path.join(folder, `${name}.crt`),
      key: name => path.join(folder, `${name}.key`),
      kubeconfig: kubeconfigOf('admin'),
      kubeconfigOf,
    },
    call: (method, url, body, options = {}) => {
      const { identity, token = tokens.admin, headers = {} } = options;
      const pem = identity === undefined ? undefined : pems[identity]!;
      return request({
        port: rest.port,
        method,
        path: url,
        ca,
        ...(pem ? { agent: false, cert: pem.certificate, key: pem.key } : { agent }),
        body,
        headers: { ...(pem || token === '' ? {} : { authorization: `Bearer ${token}` }), ...headers },
      });
    },
    close: async () => {
      agent.destroy();
      await server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function request(options: https.RequestOptions & { body: unknown; headers: Record<string, string> }): Promise<Reply> {
  const { body } = options;
  const data = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
  const headers = {
    ...(data === undefined
      ? {}
      : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(data)) }),
    ...options.headers,
  };
  return new Promise((resolve, reject) => {
    const outgoing = https.request({ ...options, host: '127.0.0.1', headers }, incoming => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('error', reject);
      incoming.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        const isJson = incoming.headers['content-type']?.includes('json');
        const json = (isJson && text !== '' ? JSON.parse(text) : {}) as Reply['json'];
        resolve({ code: incoming.statusCode ?? 0, headers: incoming.headers, text, json });
      });
    });
    outgoing.on('error', reject);
    outgoing.end(data);
  });
}

function kubeconfigFor(port: number, folder: string, name: string): unknown {
  return {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    clusters: [
      {
        name: 'test',
        cluster: { server: `https://127.0.0.1:${port}`, 'certificate-authority': path.join(folder, 'ca.crt') },
      },
    ],
    users: [
      {
        name,
        user: {
          'client-certificate': path.join(folder, `${name}.crt`),
          'client-key': path.join(folder, `${name}.key`),
        },
      },
    ],
    contexts: [{ name: 'test', context: { cluster: 'test', user: name, namespace: 'default' } }],
  };
}

/** Calls `check` until it gives something, at most for `timeoutMs`. */
export async function eventually<T>(
  check: () => T | undefined | Promise<T | undefined>,
  timeoutMs = 90_000,
): Promise<T> {
  const until = Date.now() + timeoutMs;
  for (;;) {
    const value = await check();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > until) throw new Error('the condition did not come true in time');
    await new Promise(resolve => setTimeout(resolve, 10));
  }
}
