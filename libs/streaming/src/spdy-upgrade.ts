import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

/** The names in a header that lists some. */
export function headerList(value: string | string[] | undefined): string[] {
  return String(value ?? '')
    .split(',')
    .map(name => name.trim())
    .filter(name => name !== '');
}

/** Answers an upgrade with words and closes the connection. Throws them. */
export function refuseProtocol(socket: Duplex, text: string): never {
  socket.end(
    `HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n${text}`,
  );
  throw new Error(text);
}

/** Agrees on one of `protocols` (the best first) for an upgrade to SPDY/3.1. Throws, and has answered, when there is none. */
export function acceptSpdy<P extends string>(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  protocols: readonly P[],
): P {
  const offered = headerList(request.headers['x-stream-protocol-version']);
  const protocol = protocols.find(name => offered.includes(name));
  if (request.headers.upgrade?.toLowerCase() !== 'spdy/3.1' || !protocol)
    refuseProtocol(
      socket,
      `unable to upgrade: ${request.headers.upgrade} with [${offered.join(' ')}] is not supported`,
    );
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ${protocol}\r\n\r\n`,
  );
  if (head.length > 0) socket.unshift(head);
  return protocol;
}
