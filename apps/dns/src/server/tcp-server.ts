import { createServer, isIPv6, type AddressInfo, type Socket } from 'node:net';
import type { Origin } from './handler';
import { ConnectionShares, type ShareLimits } from './connection-shares';
import type { Listening, ServerOptions } from './udp-server';

export interface TcpLimits extends ShareLimits {
  /** A connection without a whole question, and without an answer, for so long is closed. */
  idleMs: number;
}

const usualLimits: TcpLimits = { connections: 512, perClient: 128, idleMs: 10_000 };
/** Questions of one connection that may wait at a time; reading pauses beyond that. */
const maxPipelined = 32;
/** A client that does not take its answers is cut off. */
const maxUnsentBytes = 1024 * 1024;

/** DNS by TCP: each message after its length in two bytes; several questions may be on their way (RFC 7766). */
export async function serveTcp(
  { host, port, handler, logger }: ServerOptions,
  limits: TcpLimits = usualLimits,
): Promise<Listening> {
  const connections = new ConnectionShares<Socket>(limits);
  const origin: Origin = { protocol: 'tcp', family: isIPv6(host) ? '2' : '1' };
  const server = createServer(socket => {
    const client = socket.remoteAddress ?? '';
    connections.add(client, socket)?.destroy();
    socket.setNoDelay(true);
    // Bytes alone do not count: they could trickle in for ever.
    const idle = setTimeout(() => socket.destroy(), limits.idleMs);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      clearTimeout(idle);
      connections.delete(client, socket);
    });
    const inUse = (): void => {
      idle.refresh();
      connections.touch(client, socket);
    };
    serveConnection(socket, (packet, reply) => {
      inUse();
      handler.handle(packet, origin, message => {
        if (!socket.destroyed) inUse();
        reply(message);
      });
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    // As the sockets of UDP: each family has a listener of its own.
    server.listen({ host, port, ipv6Only: isIPv6(host) }, () => {
      server.removeListener('error', reject);
      resolve();
    });
  });
  server.on('error', err => logger.warn({ err }, 'TCP server error'));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        for (const socket of connections) socket.destroy();
      }),
  };
}

function serveConnection(socket: Socket, ask: (packet: Buffer, reply: (message: Buffer) => void) => void): void {
  let pending: Buffer = Buffer.alloc(0);
  let inFlight = 0;
  const answer = (message: Buffer): void => {
    inFlight--;
    if (socket.destroyed) return;
    if (socket.writableLength > maxUnsentBytes) {
      socket.destroy();
      return;
    }
    const framed = Buffer.allocUnsafe(message.length + 2);
    framed.writeUInt16BE(message.length);
    message.copy(framed, 2);
    socket.write(framed);
    if (socket.isPaused()) {
      socket.resume();
      read();
    }
  };
  const read = (): void => {
    let at = 0;
    while (pending.length - at >= 2 && !socket.destroyed) {
      if (inFlight >= maxPipelined) {
        socket.pause();
        break;
      }
      const length = pending.readUInt16BE(at);
      if (pending.length - at - 2 < length) break;
      // Shorter than a header or itself an answer: no client of ours, and there will be no reply to wait for.
      const packet = Buffer.from(pending.subarray(at + 2, at + 2 + length));
      at += 2 + length;
      if (length < 12 || (packet[2] as number) & 0x80) {
        socket.destroy();
        return;
      }
      inFlight++;
      ask(packet, answer);
    }
    if (at > 0) pending = pending.subarray(at);
  };
  socket.on('data', (chunk: Buffer) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    read();
  });
}
