import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import type { Logger } from '@naru/foundation';
import type { Handler, Origin } from './handler';

export interface ServerOptions {
  host: string;
  /** 0 picks a free one. */
  port: number;
  handler: Handler;
  logger: Logger;
}

export interface Listening {
  port: number;
  close(): Promise<void>;
}

/** Room for bursts: the kernel's default holds a few hundred questions. */
const receiveBufferBytes = 1024 * 1024;

/** Rejects when the address cannot be bound. */
export async function serveUdp({ host, port, handler, logger }: ServerOptions): Promise<Listening> {
  const v6 = isIPv6(host);
  // Replies go to numeric addresses: Node's own lookup would put each off to a later turn.
  const lookup = (
    address: string,
    _options: unknown,
    callback: (error: null, address: string, family: number) => void,
  ): void => callback(null, address, v6 ? 6 : 4);
  const socket = createSocket({ type: v6 ? 'udp6' : 'udp4', lookup: lookup as never });
  await bind(socket, host, port);
  try {
    socket.setRecvBufferSize(receiveBufferBytes);
  } catch (err) {
    logger.debug({ err }, 'receive buffer stays small');
  }
  const origin: Origin = { protocol: 'udp', family: v6 ? '2' : '1' };
  // A client that is gone is no business of ours.
  socket.on('error', err => logger.debug({ err }, 'UDP socket error'));
  const sent = (): void => undefined;
  socket.on('message', (packet, { address, port: from }) =>
    handler.handle(packet, origin, message => {
      if (from > 0) socket.send(message, 0, message.length, from, address, sent);
    }),
  );
  return {
    port: socket.address().port,
    close: () => new Promise(resolve => socket.close(() => resolve())),
  };
}

function bind(socket: Socket, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ address: host, port }, () => {
      socket.removeListener('error', reject);
      resolve();
    });
  });
}
