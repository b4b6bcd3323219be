import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { silentLogger } from '@naru/foundation';
import { Authority, createAuthority, type CertificateAndKey } from '@naru/pki';
import { MetricsServer } from './metrics-server';

describe('the server of metrics', () => {
  let authority: Authority;
  let proxy: CertificateAndKey;
  let server: MetricsServer;
  let directory: string;
  const agents: https.Agent[] = [];

  beforeEach(async () => {
    authority = await Authority.load(await createAuthority());
    proxy = await authority.issue({ subject: { commonName: 'front-proxy' }, usages: ['client'] });
    const own = await authority.issue({
      subject: { commonName: 'metrics-server' },
      usages: ['server'],
      ipAddresses: ['127.0.0.1'],
    });
    directory = mkdtempSync(path.join(tmpdir(), 'naru-metrics-server-'));
    const files = { certificate: path.join(directory, 'crt'), key: path.join(directory, 'key') };
    writeFileSync(files.certificate, own.certificate);
    writeFileSync(files.key, own.key);
    server = new MetricsServer({ api: { get: () => ({}) }, logger: silentLogger, ...files });
    await server.listen('127.0.0.1', 0);
  });
  afterEach(async () => {
    for (const agent of agents.splice(0)) agent.destroy();
    await server.close();
    rmSync(directory, { recursive: true });
  });

  function ask(agent: https.Agent): Promise<number> {
    const { certificate: cert, key } = proxy;
    return new Promise((resolve, reject) => {
      https
        .get({ host: '127.0.0.1', port: server.port, ca: authority.certificate, cert, key, agent }, response => {
          response.resume().once('end', () => resolve(response.statusCode ?? 0));
        })
        .once('error', reject);
    });
  }

  test.each([
    ['keeps its connection', { keepAlive: true }],
    ['resumes its session', { keepAlive: false }],
  ])(
    'an aggregation layer that came before it was trusted is heard when it is, also one that %s',
    async (_, options) => {
      const agent = new https.Agent(options);
      agents.push(agent);
      expect(await ask(agent)).toBe(401);
      server.trust({ ca: authority.certificate, allowedNames: ['front-proxy'] });
      expect(await ask(agent)).toBe(200);
    },
  );

  test('nobody else is heard', async () => {
    const agent = new https.Agent();
    agents.push(agent);
    server.trust({ ca: authority.certificate, allowedNames: ['another'] });
    expect(await ask(agent)).toBe(401);
    server.trust({ ca: (await createAuthority()).certificate, allowedNames: [] });
    expect(await ask(agent)).toBe(401);
  });
});
