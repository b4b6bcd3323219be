import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { proxyUpgrade, refuseUpgrade, type UpgradeTarget } from './upgrade-proxy';
import { LateClient, stopTime } from './testing/late-client';
import { StatusError } from '@naru/foundation';

const servers: http.Server[] = [];

afterEach(() => {
  jest.useRealTimers();
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});

async function listen(server: http.Server): Promise<number> {
  servers.push(server);
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

/** A proxy in front of `target`; counts its requests, so that a second one on the same connection would show. */
async function proxyTo(target: (path: string) => UpgradeTarget, handshakeTimeoutMs = 60_000): Promise<number> {
  const server = http.createServer((_request, response) => response.end('the proxy itself'));
  server.on('upgrade', (request, socket, head) => {
    proxyUpgrade({ request, socket, head }, target(request.url ?? '/'), { handshakeTimeoutMs }).catch(
      (error: StatusError) => refuseUpgrade(socket, error),
    );
  });
  return listen(server);
}

/** Sends `text` raw and gives back everything that arrives until the connection ends or `until` is seen. */
function talk(port: number, text: string, until?: string): Promise<{ text: string; socket: net.Socket }> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write(text));
    let received = '';
    socket.on('data', chunk => {
      received += chunk.toString();
      if (until && received.includes(until)) resolve({ text: received, socket });
    });
    socket.on('end', () => {
      socket.end();
      resolve({ text: received, socket });
    });
    socket.on('error', reject);
  });
}

const upgrade = (path: string, extra = ''): string =>
  `POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nAuthorization: Bearer s\r\n${extra}\r\n`;

describe('proxyUpgrade', () => {
  it('carries bytes both ways after the target accepted', async () => {
    const seen: http.IncomingHttpHeaders[] = [];
    const target = http.createServer().on('upgrade', (request: http.IncomingMessage, socket: net.Socket) => {
      seen.push(request.headers);
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\nhi ${request.url};`,
      );
      socket.on('data', chunk => socket.write(chunk.toString().toUpperCase()));
      socket.on('end', () => socket.end('bye'));
    });
    const port = await listen(target);
    const proxy = await proxyTo(path => ({ port, path: `/exec${path}`, headers: { 'x-user': 'anna' } }));
    const { text, socket } = await talk(proxy, `${upgrade('/a?b=c')}early;`, 'EARLY;');
    expect(text).toContain('101 Switching Protocols');
    expect(text).toContain('hi /exec/a?b=c;');
    expect(seen[0]).toMatchObject({ 'x-user': 'anna', upgrade: 'SPDY/3.1' });
    expect(seen[0]).not.toHaveProperty('authorization');
    const rest = new Promise<string>(resolve => {
      let received = '';
      socket.on('data', chunk => (received += chunk.toString()));
      socket.on('close', () => resolve(received));
    });
    socket.end('late;');
    expect(await rest).toBe('LATE;bye');
  });

  it('relays a refusal and closes, so that nothing else reaches the target on that connection', async () => {
    let requests = 0;
    const target = http.createServer();
    target.on('upgrade', (_request, socket) => {
      requests++;
      socket.write('HTTP/1.1 403 Forbidden\r\ncontent-length: 3\r\n\r\nno!');
      socket.on('data', () => requests++);
    });
    const port = await listen(target);
    const proxy = await proxyTo(path => ({ port, path }));
    const { text } = await talk(proxy, `${upgrade('/')}GET /secret HTTP/1.1\r\nHost: x\r\n\r\n`);
    expect(text).toMatch(/^HTTP\/1.1 403 Forbidden/);
    expect(text).toContain('connection: close');
    expect(text.endsWith('no!')).toBe(true);
    expect(requests).toBe(1);
  });

  it('throws ServiceUnavailable when nothing listens at the target', async () => {
    const proxy = await proxyTo(path => ({ socketPath: '/nonexistent.sock', path }));
    const { text } = await talk(proxy, upgrade('/'));
    expect(text).toMatch(/^HTTP\/1.1 503/);
    expect(text).toContain('"reason":"ServiceUnavailable"');
  });

  it('gives up on a target that does not answer', async () => {
    const target = net.createServer(socket => socket.on('error', () => undefined)).unref();
    await new Promise<void>(resolve => target.listen(0, '127.0.0.1', resolve));
    const port = (target.address() as AddressInfo).port;
    const proxy = await proxyTo(path => ({ port, path }), 500);
    const { text } = await talk(proxy, upgrade('/'));
    expect(text).toContain('"reason":"Timeout"');
    target.close();
  });

  it('keeps bearer tokens in WebSocket protocols to itself', async () => {
    let protocols: string | undefined;
    const target = http.createServer().on('upgrade', (request: http.IncomingMessage, socket: net.Socket) => {
      protocols = request.headers['sec-websocket-protocol'];
      socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    });
    const port = await listen(target);
    const proxy = await proxyTo(path => ({ port, path }));
    await talk(
      proxy,
      upgrade('/', 'Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.c2VjcmV0, v5.channel.k8s.io\r\n'),
    );
    expect(protocols).toBe('v5.channel.k8s.io');
  });

  it('carries the last words of a target that has gone to a caller that takes them late', async () => {
    let hasGone = false;
    const target = http.createServer().on('upgrade', (_request, socket: net.Socket) => {
      socket.once('close', () => (hasGone = true));
      socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\nlast words');
    });
    const port = await listen(target);
    stopTime();
    const socket = new LateClient();
    const headers = { upgrade: 'SPDY/3.1' };
    const request = { method: 'POST', headers, headersDistinct: {} } as unknown as http.IncomingMessage;
    const carried = proxyUpgrade({ request, socket, head: Buffer.alloc(0) }, { port, path: '/' });
    await socket.waitFor(() => hasGone && socket.writableEnded);
    await socket.letTimePass();
    await socket.takeUntil(() => socket.writableFinished);
    expect(socket.received).toMatch(/last words$/);
    await socket.letTimePass();
    await carried;
    expect(socket.destroyed).toBe(true);
  });
});
