import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { spawn, type ChildProcess } from 'node:child_process';
import { connect as dial } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { NatsFeed, feedHeaders } from '@naru/client';
import { silentLogger } from '@naru/foundation';
import { eventually, freePort } from '@naru/testing';
import { connect, headers, type NatsConnection } from 'nats';
import { prepareCertificates } from './certificates';
import { missingBinaries } from './preflight';
import { natsConfig } from './nats-config';

const here = missingBinaries().includes('nats-server') ? describe.skip : describe;

here('a nats-server with this configuration (needs the nats-server binary)', () => {
  let folder: string;
  let server: ChildProcess;
  let port: number;

  const filesOf = (who: string): { ca: string; certificate: string; key: string } => ({
    ca: path.join(folder, who, 'ca.crt'),
    certificate: path.join(folder, who, 'client.crt'),
    key: path.join(folder, who, 'client.key'),
  });
  const timeout = 60_000;
  const connectAs = (who: string): Promise<NatsConnection> => {
    const { ca, certificate, key } = filesOf(who);
    const read = (file: string): string => readFileSync(file, 'utf8');
    const tls = { ca: read(ca), cert: read(certificate), key: read(key) };
    return connect({ servers: `tls://127.0.0.1:${port}`, tls, maxReconnectAttempts: 0, timeout });
  };

  beforeAll(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'naru-nats-'));
    port = await freePort();
    await prepareCertificates(folder, {
      apiServer: { dnsNames: [], ipAddresses: [] },
      nats: { dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'] },
    });
    const at = (name: string): string => path.join(folder, 'nats', name);
    const config = natsConfig({
      listen: `127.0.0.1:${port}`,
      certificate: at('serving.crt'),
      key: at('serving.key'),
      ca: at('ca.crt'),
      storeDir: at('store'),
    });
    writeFileSync(at('nats.conf'), config);
    server = spawn('nats-server', ['--config', at('nats.conf')], { stdio: 'ignore' });
    await eventually(
      () =>
        new Promise<void>((resolve, reject) => {
          const socket = dial(port, '127.0.0.1', () => resolve(void socket.destroy()));
          socket.on('error', reject);
        }),
    );
    const publisher = await connectAs('api-server');
    const manager = await publisher.jetstreamManager({ timeout });
    await manager.streams.add({ name: 'FEED', subjects: ['feed.>'], storage: 'memory' as never });
    await publisher.close();
  });

  afterAll(() => {
    server.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  });

  test('lets a reader follow the feed', async () => {
    const feed = new NatsFeed({
      servers: [`tls://127.0.0.1:${port}`],
      name: 'test',
      logger: silentLogger,
      tls: filesOf('scheduler'),
    });
    const stop = new AbortController();
    const heard: string[] = [];
    let live = false;
    feed.subscribe(
      'feed.core.pods.*.>',
      { onLive: () => (live = true), onLost: () => undefined, onMessage: message => heard.push(message.name) },
      stop.signal,
    );
    await eventually(() => expect(live).toBe(true));
    const publisher = await connectAs('api-server');
    const head = headers();
    head.set(feedHeaders.type, 'ADDED');
    head.set(feedHeaders.version, '1');
    await publisher.jetstream({ timeout }).publish('feed.core.pods._.default.web', '{}', { headers: head });
    await eventually(() => expect(heard).toEqual(['web']));
    await publisher.close();
    stop.abort();
    await feed.close();
  });

  test('lets nobody but the api-server publish or change the stream', async () => {
    const reader = await connectAs('controller-manager');
    await expect(reader.jetstream({ timeout }).publish('feed.core.pods._.default.evil')).rejects.toThrow(/permission/i);
    const manager = await reader.jetstreamManager({ checkAPI: false, timeout });
    await expect(manager.streams.purge('FEED')).rejects.toThrow(/permission/i);
    await reader.close();
  });

  test('lets no reader list or end the consumers of others', async () => {
    const publisher = await connectAs('api-server');
    const other = await publisher.jetstreamManager({ timeout });
    const { name } = await other.consumers.add('FEED', {
      deliver_subject: '_INBOX.other',
      ack_policy: 'none' as never,
    });
    const reader = await connectAs('controller-manager');
    const manager = await reader.jetstreamManager({ checkAPI: false, timeout });
    await expect(manager.consumers.list('FEED').next()).rejects.toThrow(/permission/i);
    await expect(manager.consumers.delete('FEED', name)).rejects.toThrow(/permission/i);
    await reader.close();
    await publisher.close();
  });

  test('refuses whoever has no certificate', async () => {
    const ca = readFileSync(path.join(folder, 'nats/ca.crt'), 'utf8');
    const attempt = connect({ servers: `tls://127.0.0.1:${port}`, tls: { ca }, timeout: 2_000, reconnect: false });
    await expect(attempt).rejects.toThrow();
  });
});
