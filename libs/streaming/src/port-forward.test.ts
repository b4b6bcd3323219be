import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocket, createWebSocketStream } from 'ws';
import { servePortForward, type Forward } from './port-forward';
import { eventually } from '@naru/foundation/testing';
import { openSpdy, SpdyClient } from './testing/spdy-client';

const servers: http.Server[] = [];
const clients: SpdyClient[] = [];

afterEach(() => {
  for (const client of clients.splice(0)) client.close();
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});

const tunnel = 'SPDY/3.1+portforward.k8s.io';
/** The client's library does not take the real name, because of its slash. */
const clientName = 'tunnel';

function speakTunnel(request: http.IncomingMessage, socket: Duplex): void {
  request.headers['sec-websocket-protocol'] = tunnel;
  const write = socket.write.bind(socket) as (data: unknown, ...more: unknown[]) => boolean;
  socket.write = ((data: unknown, ...more: unknown[]) =>
    write(typeof data === 'string' ? data.replace(tunnel, clientName) : data, ...more)) as typeof socket.write;
}

async function serve(forward: Forward): Promise<number> {
  const server = http.createServer();
  servers.push(server);
  server.on('upgrade', (request, socket, head) => {
    if (request.headers['sec-websocket-protocol'] === clientName) speakTunnel(request, socket);
    servePortForward(request, socket, head, forward).catch(() => undefined);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

const echo: Forward = (port, data) =>
  new Promise(resolve => {
    data.on('data', (chunk: Buffer) => data.write(`${port}:${chunk.toString()}`));
    data.on('end', resolve);
  });

const spdyOverTcp = (port: number): Promise<Duplex> => openSpdy(port, '/', 'portforward.k8s.io');

function spdyInWebSocket(port: number): Promise<Duplex> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, clientName);
  return new Promise((resolve, reject) => {
    socket.on('open', () => resolve(createWebSocketStream(socket)));
    socket.on('error', reject);
  });
}

function connect(transport: Duplex): SpdyClient {
  const client = new SpdyClient(transport);
  clients.push(client);
  return client;
}

describe.each([
  ['SPDY', spdyOverTcp],
  ['SPDY in a WebSocket', spdyInWebSocket],
])('port forwarding over %s', (_, open) => {
  it('carries connections side by side, each to its end', async () => {
    const client = connect(await open(await serve(echo)));
    await client.connect(1, '80');
    await client.connect(5, '81');
    client.data(3, 'one');
    client.data(7, 'two', true);
    await eventually(() => expect([client.received.get(3), client.received.get(7)]).toEqual(['80:one', '81:two']));
    await eventually(() => expect([...client.ended].sort()).toEqual([5, 7]));
    client.data(3, '', true);
    await eventually(() => expect([...client.ended].sort()).toEqual([1, 3, 5, 7]));
  });

  it('answers pings, and tells why a port cannot be reached', async () => {
    const client = connect(await open(await serve(() => Promise.reject(new Error('connection refused')))));
    client.ping(9);
    await client.connect(1, '80');
    await eventually(() => expect(client.received.get(1)).toBe('error forwarding port 80: connection refused'));
    expect(client.pings).toEqual([9]);
    await client.connect(5, '99999');
    await eventually(() => expect(client.received.get(5)).toContain('invalid port "99999"'));
  });

  it('ends what it carries when the client goes away', async () => {
    let begun = false;
    let closed = false;
    const wait: Forward = (_port, data) => {
      begun = true;
      return new Promise(resolve => data.once('close', () => resolve()).once('close', () => (closed = true)));
    };
    const client = connect(await open(await serve(wait)));
    await client.connect(1, '80');
    await eventually(() => expect(begun).toBe(true));
    client.close();
    await eventually(() => expect(closed).toBe(true));
  });
});

test('a client that speaks nothing we know is refused', async () => {
  const port = await serve(echo);
  const answer = await new Promise<string>(resolve => {
    const socket = net.connect(port, '127.0.0.1', () =>
      socket.write('POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/2\r\n\r\n'),
    );
    let text = '';
    socket.on('data', chunk => (text += String(chunk)));
    socket.on('close', () => resolve(text));
  });
  expect(answer).toMatch(/^HTTP\/1.1 400 Bad Request[^]*unable to upgrade/);
});
