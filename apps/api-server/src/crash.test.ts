import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import { Authority, createAuthority, createKey } from '@naru/pki';
import { EtcdTestServer, seeded } from '@naru/store/testing';
import { freePort } from '@naru/testing';
import { ShippedPrograms } from './testing/shipped-programs';
import { eventually } from './testing/test-server';

/** The long form is for before a release: NARU_STORE_ROUNDS=200. */
const rounds = Number(process.env['NARU_STORE_ROUNDS'] ?? 2);
const configMaps = '/api/v1/namespaces/default/configmaps';

let folder: string;
let flags: string[];
let port: number;
let agent: https.Agent;
const programs = new ShippedPrograms('api-server');
let child: ChildProcess | undefined;

beforeAll(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'naru-crash-'));
  const file = (name: string, text: string): string => {
    writeFileSync(path.join(folder, name), text);
    return path.join(folder, name);
  };
  const pair = await createAuthority();
  const authority = await Authority.load(pair);
  const serving = await authority.issue({
    subject: { commonName: 'kube-apiserver' },
    usages: ['server'],
    dnsNames: ['kubernetes'],
    ipAddresses: ['127.0.0.1'],
  });
  const client = await authority.issue({ subject: { commonName: 'kube-apiserver' }, usages: ['client'] });
  port = await freePort();
  agent = new https.Agent({ ca: pair.certificate, keepAlive: true });
  flags = [
    `--listen=127.0.0.1:${port}`,
    `--grpc-listen=127.0.0.1:${await freePort()}`,
    `--ca=${file('ca.crt', pair.certificate)}`,
    `--ca-key=${file('ca.key', pair.key)}`,
    `--certificate=${file('server.crt', serving.certificate)}`,
    `--key=${file('server.key', serving.key)}`,
    `--client-certificate=${file('client.crt', client.certificate)}`,
    `--client-key=${file('client.key', client.key)}`,
    `--service-account-key=${file('sa.key', createKey())}`,
    `--token-file=${file('tokens.csv', 'admin-token,admin,1,"system:masters"')}`,
  ];
});
afterAll(() => {
  agent.destroy();
  programs.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Answer {
  code: number;
  json: {
    items: { metadata: { name: string; resourceVersion: string }; data?: { value: string } }[];
    metadata: { resourceVersion: string };
  };
}

/** Undefined when the server went away: then nobody knows. */
function call(method: string, url: string, body?: unknown): Promise<Answer | undefined> {
  const headers = { authorization: 'Bearer admin-token', 'content-type': 'application/json' };
  return new Promise(resolve => {
    const request = https.request({ host: '127.0.0.1', port, path: url, method, agent, headers }, response => {
      let text = '';
      response.on('error', () => resolve(undefined));
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('end', () => {
        const isJson = response.headers['content-type']?.includes('json');
        resolve({ code: response.statusCode ?? 0, json: (isJson ? JSON.parse(text) : {}) as Answer['json'] });
      });
    });
    request.on('error', () => resolve(undefined));
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

async function start(store: string[]): Promise<void> {
  child = programs.start('api-server', [...flags, ...store]);
  await eventually(async () => (await call('GET', '/readyz'))?.code === 200 || undefined);
}

/** Writes until `enough` writes were acknowledged, then kills the server under the others. */
async function writeUntilKilled(round: number, enough: number): Promise<Map<string, string>> {
  const acknowledged = new Map<string, string>();
  let killed: Promise<unknown> | undefined;
  let next = 0;
  const worker = async (): Promise<void> => {
    while (!killed) {
      const name = `r${round}-${next++}`;
      const created = await call('POST', configMaps, { metadata: { name }, data: { value: 'first' } });
      if (created?.code === 201) {
        acknowledged.set(name, 'first');
        const updated = await call('PUT', `${configMaps}/${name}`, { metadata: { name }, data: { value: 'second' } });
        // Unknown, it may be either.
        if (updated?.code === 200) acknowledged.set(name, 'second');
        else acknowledged.set(name, 'any');
      }
      if (acknowledged.size < enough || killed) continue;
      const exited = new Promise(resolve => child!.once('exit', resolve));
      child!.kill('SIGKILL');
      killed = exited;
    }
  };
  await Promise.all(Array.from({ length: 8 }, worker));
  await killed;
  return acknowledged;
}

async function crashRounds(store: string[]): Promise<void> {
  const random = seeded(rounds);
  let revision = 0;
  await start(store);
  for (let round = 0; round < rounds; round++) {
    const acknowledged = await writeUntilKilled(round, 1 + Math.floor(random() * 100));
    await start(store);
    const { json: list } = await eventually(() => call('GET', configMaps));
    const found = new Map(list.items.map(({ metadata, data }) => [metadata.name, data?.value]));
    const lost = [...acknowledged].filter(
      ([name, value]) => found.get(name) !== value && !(value === 'any' && found.has(name)),
    );
    expect(lost).toEqual([]);
    // Versions go on where they were: what a client remembers stays true.
    expect(Number(list.metadata.resourceVersion)).toBeGreaterThan(revision);
    revision = Number(list.metadata.resourceVersion);
    expect((await eventually(() => call('DELETE', configMaps))).code).toBe(200);
  }
  const exited = new Promise(resolve => child!.once('exit', resolve));
  child!.kill('SIGTERM');
  await exited;
}

test(
  'after kill -9 of an api-server on LMDB during writes, all that it acknowledged is there',
  () => crashRounds([`--data-dir=${path.join(folder, 'data')}`]),
  240_000 + rounds * 10_000,
);

test(
  'after kill -9 of an api-server on etcd during writes, all that it acknowledged is there',
  async () => {
    const etcd = await EtcdTestServer.start();
    await crashRounds([`--etcd-servers=${etcd.url}`]);
    await etcd.stop();
  },
  240_000 + rounds * 10_000,
);
