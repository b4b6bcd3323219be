import type { Readable } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import type { IncomingUpgrade } from './upgrade-proxy';

/** Plain bytes, in messages of any size. Source: k8s.io/apimachinery pkg/util/httpstream/wsstream, NewDefaultReaderProtocols. */
const protocols = ['binary.k8s.io', 'base64.binary.k8s.io'] as const;
const maxMessageBytes = 64 * 1024;
const closeTimeoutMs = 5_000;

const server = new WebSocketServer({
  noServer: true,
  maxPayload: maxMessageBytes,
  handleProtocols: offered => protocols.find(protocol => offered.has(protocol)) ?? false,
});

/** Takes over an upgraded connection. */
function accept({ request, socket, head }: IncomingUpgrade): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    server.handleUpgrade(request, socket, head, webSocket => {
      socket.off('error', reject);
      webSocket.on('error', () => webSocket.terminate());
      resolve(webSocket);
    });
  });
}

/** Sends `source` over a WebSocket as fast as the client takes it, and closes after its end. Resolves when it is closed. */
export async function sendOverWebSocket(upgrade: IncomingUpgrade, source: Readable): Promise<void> {
  const socket = await accept(upgrade);
  const closed = new Promise<void>(resolve => socket.once('close', () => resolve()));
  void closed.then(() => source.destroy());
  const isText = socket.protocol.startsWith('base64.');
  try {
    for await (const chunk of source as AsyncIterable<Buffer>) {
      const data = isText ? chunk.toString('base64') : chunk;
      await new Promise<void>(resolve => socket.send(data, () => resolve()));
    }
    socket.close(1000);
  } catch {
    // The source broke off, or the client has gone: in both cases this is the end.
    socket.close(1011);
  }
  const timer = setTimeout(() => socket.terminate(), closeTimeoutMs);
  await closed;
  clearTimeout(timer);
}
