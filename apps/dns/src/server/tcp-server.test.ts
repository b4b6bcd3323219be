import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { silentLogger } from '@naru/foundation';
import { eventually } from '@naru/testing';
import { frame, query } from '../testing/ask';
import type { Handler } from './handler';
import { serveTcp, type TcpLimits } from './tcp-server';
import type { Listening } from './udp-server';

/** Says the same back. */
const echo = { handle: (packet: Buffer, _origin: unknown, reply: (message: Buffer) => void) => reply(packet) };
const question = frame(query('web.shop.svc.cluster.local', 'A'));
const [first, second, third] = ['127.0.0.1', '127.0.0.2', '127.0.0.3'] as const;

let server: Listening;
let sockets: Socket[] = [];

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets = [];
  await server.close();
});

async function start(limits: Partial<TcpLimits>): Promise<void> {
  const options = { host: '127.0.0.1', port: 0, handler: echo as unknown as Handler, logger: silentLogger };
  server = await serveTcp(options, { connections: 100, perClient: 100, idleMs: 60_000, ...limits });
}

/** Answers once the connection has been served, so that the server knows of it. */
async function open(client: string): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port: server.port, localAddress: client });
  sockets.push(socket);
  socket.on('error', () => undefined);
  await ask(socket);
  return socket;
}

/** Rejects when it is closed without an answer. */
async function ask(socket: Socket): Promise<void> {
  const waiting = new AbortController();
  const closed = (): void => waiting.abort();
  socket.once('close', closed);
  if (socket.closed) closed();
  socket.write(question);
  await once(socket, 'data', { signal: waiting.signal });
  socket.off('close', closed);
}

/** A reset is an end like any other. */
function ended(socket: Socket): Promise<void> {
  return new Promise(resolve => (socket.closed ? resolve() : socket.once('close', () => resolve())));
}

test('a client that holds most connections makes room for another, which is served', async () => {
  await start({ connections: 6, perClient: 5 });
  const greedy = [await open(first), await open(first), await open(first), await open(first)];
  const modest = [await open(second), await open(second)];
  const newcomer = await open(third);
  await ended(greedy[0]!);
  for (const socket of [...greedy.slice(1), ...modest, newcomer]) await ask(socket);
});

test('a client that has its share loses the connection that it used least lately to a new one', async () => {
  await start({ perClient: 3 });
  const held = [await open(first), await open(first), await open(first)];
  await ask(held[0]!);
  const latest = await open(first);
  await ended(held[1]!);
  for (const socket of [held[0]!, held[2]!, latest]) await ask(socket);
});

test('a connection that brings no whole question in time is closed, whatever trickles in', async () => {
  await start({ idleMs: 500 });
  // It ends before its first answer when this process stands still for so long.
  const socket = await eventually(() => open(first));
  // A message of 65,535 bytes, of which one comes now and then.
  const trickle = setInterval(() => socket.write(Buffer.from([255])), 20);
  await ended(socket);
  clearInterval(trickle);
});
