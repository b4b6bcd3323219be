import type { IncomingMessage } from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import { connect } from 'node:tls';
import { silentLogger } from '@naru/foundation';
import { Authority, createAuthority } from '@naru/pki';
import { eventually } from '@naru/testing';
import { readBody } from './read-body';
import type { ResourceCall } from './resource-handler';
import { RestServer, type RestServerDeps } from './rest-server';

/** Resolves however it is closed. */
const closed = (connection: NodeJS.EventEmitter): Promise<void> =>
  new Promise(resolve => connection.once('close', resolve));

describe('connections', () => {
  let rest: RestServer;
  let port: number;
  const idleMs = 300;

  beforeAll(async () => {
    const authority = await Authority.load(await createAuthority());
    const serving = await authority.issue({
      subject: { commonName: 'kube-apiserver' },
      usages: ['server'],
      ipAddresses: ['127.0.0.1'],
    });
    const handle = async ({ request, response, query }: ResourceCall): Promise<void> => {
      if (query.get('watch')) {
        response.writeHead(200);
        response.write('x');
        await new Promise(resolve => setTimeout(resolve, 4 * idleMs));
      } else if (request.method === 'POST') await readBody(request);
      response.end('done');
    };
    rest = new RestServer({
      logger: silentLogger,
      tls: { ...serving, ca: authority.certificate },
      authenticator: { byHeader: () => ({ username: 'a', groups: [] }) },
      authorizer: {},
      resources: { handle },
      routes: [],
      connector: { handle: () => undefined, upgrade: () => undefined },
      metrics: { setInflight: () => undefined, observe: () => undefined, abort: () => undefined },
      flowControl: { classify: () => undefined },
      limits: { idleMs, bodyMs: 200 },
    } as unknown as RestServerDeps);
    port = (await rest.listen('127.0.0.1:0')).port;
  });
  afterAll(() => rest.close(100));

  test('without a request are closed, of both protocols', async () => {
    for (const protocol of ['http/1.1', 'h2']) {
      const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: [protocol] });
      socket.on('error', () => undefined);
      socket.resume();
      await closed(socket);
    }
  });

  test('with a quiet watch stay, of both protocols', async () => {
    const watchByHttp1 = (): Promise<string> =>
      new Promise((resolve, reject) => {
        const options = { port, path: '/api/v1/pods?watch=1', rejectUnauthorized: false, agent: false };
        const request = https.get(options, async response => resolve((await response.toArray()).join('')));
        request.on('error', reject);
      });
    // It may be closed before it has been asked anything, when this process stands still for so long.
    await eventually(async () => expect(await watchByHttp1()).toBe('xdone'));
    const session = await eventually(async () => {
      const opened = http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
      opened.on('error', () => undefined);
      const stream = opened.request({ ':path': '/api/v1/pods?watch=1' });
      expect((await stream.toArray()).join('')).toBe('xdone');
      return opened;
    });
    // Then it is idle.
    if (!session.closed) await closed(session);
  });

  test('whose announced body does not come are told so and closed', async () => {
    const post = (): Promise<IncomingMessage> =>
      new Promise((resolve, reject) => {
        const request = https.request({
          port,
          path: '/api/v1/namespaces/default/pods',
          method: 'POST',
          headers: { 'content-length': 10 },
          rejectUnauthorized: false,
          agent: false,
        });
        request.on('error', reject);
        request.on('response', resolve);
        request.write('{');
      });
    const { statusCode, headers } = await eventually(async () => (await post()).resume());
    expect(statusCode).toBe(504);
    expect(headers.connection).toBe('close');
  });
});
