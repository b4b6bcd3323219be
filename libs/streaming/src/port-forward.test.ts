import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocket, createWebSocketStream } from 'ws';
import { servePortForward, type Forward } from './port-forward';
import { SpdyHeaders } from './spdy-headers';

async function eventually(check: () => void): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      return check();
    } catch (error) {
      if (tries > 500) throw error;
      await new Promise(resolve => setTimeout(resolve, 10));
    }
  }
}

const servers: http.Server[] = [];
const clients: Client[] = [];

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

function spdyOverTcp(port: number): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const headers = { connection: 'Upgrade', upgrade: 'SPDY/3.1', 'x-stream-protocol-version': 'portforward.k8s.io' };
    http
      .request({ port, host: '127.0.0.1', method: 'POST', headers })
      .on('upgrade', (_, socket) => resolve(socket))
      .on('error', reject)
      .end();
  });
}

function spdyInWebSocket(port: number): Promise<Duplex> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, clientName);
  return new Promise((resolve, reject) => {
    socket.on('open', () => resolve(createWebSocketStream(socket)));
    socket.on('error', reject);
  });
}

/** Just enough of a client: frames by hand, and what comes back by stream. */
class Client {
  readonly received = new Map<number, string>();
  readonly ended = new Set<number>();
  readonly pings: number[] = [];
  private readonly headers = new SpdyHeaders();
  private rest = Buffer.alloc(0);

  constructor(private readonly transport: Duplex) {
    clients.push(this);
    transport.on('error', () => undefined);
    transport.on('data', (chunk: Buffer) => this.read(chunk));
  }

  private read(chunk: Buffer): void {
    this.rest = Buffer.concat([this.rest, chunk]);
    for (;;) {
      const length = this.rest.length < 8 ? Infinity : 8 + (this.rest.readUInt32BE(4) & 0xff_ffff);
      if (this.rest.length < length) return;
      const frame = this.rest.subarray(0, length);
      this.rest = this.rest.subarray(length);
      const id = frame.readUInt32BE(0);
      if (id === 0x8003_0006) this.pings.push(frame.readUInt32BE(8));
      if (id >= 0x8000_0000) continue;
      this.received.set(id, (this.received.get(id) ?? '') + frame.toString('utf8', 8));
      if (frame.readUInt8(4) & 1) this.ended.add(id);
    }
  }

  private send(first: number, flags: number, payload: Buffer): void {
    const head = Buffer.alloc(8);
    head.writeUInt32BE(first);
    head.writeUInt32BE(payload.length, 4);
    head.writeUInt8(flags, 4);
    // In pieces: a frame need not come at once.
    for (const piece of [head.subarray(0, 3), Buffer.concat([head.subarray(3), payload])]) this.transport.write(piece);
  }

  async open(id: number, headers: Record<string, string>): Promise<void> {
    const fixed = Buffer.alloc(10);
    fixed.writeUInt32BE(id);
    this.send(0x8003_0001, 0, Buffer.concat([fixed, await this.headers.write(new Map(Object.entries(headers)))]));
  }

  /** The two streams of a connection, as client-go opens them. */
  async connect(id: number, port: string): Promise<void> {
    await this.open(id, { streamType: 'error', port, requestID: String(id) });
    this.data(id, '', true);
    await this.open(id + 2, { streamType: 'data', port, requestID: String(id) });
  }

  data(id: number, text: string, last = false): void {
    this.send(id, last ? 1 : 0, Buffer.from(text));
  }

  ping(id: number): void {
    const payload = Buffer.alloc(4);
    payload.writeUInt32BE(id);
    this.send(0x8003_0006, 0, payload);
  }

  close(): void {
    this.transport.destroy();
  }
}

describe.each([
  ['SPDY', spdyOverTcp],
  ['SPDY in a WebSocket', spdyInWebSocket],
])('port forwarding over %s', (_, open) => {
  it('carries connections side by side, each to its end', async () => {
    const client = new Client(await open(await serve(echo)));
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
    const client = new Client(await open(await serve(() => Promise.reject(new Error('connection refused')))));
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
    const client = new Client(await open(await serve(wait)));
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
