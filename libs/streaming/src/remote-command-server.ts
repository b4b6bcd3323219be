import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { RemoteCommandSession, type RemoteCommandStreams } from './remote-command';
import { SpdyTransport, spdyProtocols } from './spdy-transport';
import { acceptSpdy, headerList, refuseProtocol } from './spdy-upgrade';
import { WebSocketTransport, webSocketProtocols } from './websocket-transport';

/** Larger messages are refused; clients send 32 KB at a time. */
const maxMessageBytes = 8 << 20;

/** Accepts the upgrades of remote commands, WebSocket and SPDY/3.1, with the best protocol that both speak. */
export class RemoteCommandServer {
  readonly #server = new WebSocketServer({
    noServer: true,
    maxPayload: maxMessageBytes,
    handleProtocols: offered => webSocketProtocols.find(protocol => offered.has(protocol)) ?? false,
  });

  /** Takes over an upgraded connection. Answers 400, and rejects, when the client offers no protocol that is known. */
  async accept(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    streams: RemoteCommandStreams,
  ): Promise<RemoteCommandSession> {
    socket.on('error', () => undefined);
    if (request.headers.upgrade?.toLowerCase() !== 'websocket') {
      const protocol = acceptSpdy(request, socket, head, spdyProtocols);
      return new RemoteCommandSession(await SpdyTransport.open(socket, protocol, streams));
    }
    const offered = headerList(request.headers['sec-websocket-protocol']);
    // Whoever names none speaks the oldest.
    if (offered.length > 0 && !webSocketProtocols.some(protocol => offered.includes(protocol)))
      refuseProtocol(socket, `unable to upgrade: none of the protocols [${offered.join(' ')}] is supported`);
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      this.#server.handleUpgrade(request, socket, head, webSocket => {
        socket.off('error', reject);
        resolve(new RemoteCommandSession(new WebSocketTransport(webSocket, streams)));
      });
    });
  }
}
