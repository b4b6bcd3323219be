import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer, createWebSocketStream } from 'ws';
import { SpdyConnection } from './spdy-connection';
import type { SpdyStream } from './spdy-stream';
import { acceptSpdy, headerList, refuseProtocol } from './spdy-upgrade';

/** Source: k8s.io/apimachinery pkg/util/portforward/constants.go. */
const protocol = 'portforward.k8s.io';
const tunnelProtocol = `SPDY/3.1+${protocol}`;
const maxMessageBytes = 8 << 20;
/** The second stream of a pair follows the first at once. Source: k8s.io/kubelet pkg/cri/streaming/portforward. */
const pairTimeoutMs = 30_000;
const maxPort = 65_535;

/** A name with a slash is none to the WebSocket library, which refuses it: the protocol is agreed on here. */
const tunnels = new WebSocketServer({ noServer: true, maxPayload: maxMessageBytes });
tunnels.on('headers', headers => headers.push(`Sec-WebSocket-Protocol: ${tunnelProtocol}`));

/** Takes over an upgraded connection and gives the bytes of SPDY that it carries: bare, or within a WebSocket. */
async function acceptTransport(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<Duplex> {
  if (request.headers.upgrade?.toLowerCase() === 'websocket') {
    const offered = headerList(request.headers['sec-websocket-protocol']);
    if (!offered.includes(tunnelProtocol))
      refuseProtocol(socket, `unable to upgrade: no protocol of [${offered.join(' ')}] is supported`);
    delete request.headers['sec-websocket-protocol'];
    return new Promise(resolve =>
      tunnels.handleUpgrade(request, socket, head, webSocket => resolve(createWebSocketStream(webSocket))),
    );
  }
  acceptSpdy(request, socket, head, [protocol]);
  return socket;
}

/** Carries one connection to a port: what comes from the client is read from `data`, what goes to it is written there. */
export type Forward = (port: number, data: Duplex) => Promise<void>;

/**
 * Serves one `kubectl port-forward`: each of its connections is a pair of streams, one for data and one for the words of an
 * error, which is what `forward` rejects with. Resolves when the client has gone. Rejects when the upgrade is refused.
 */
export async function servePortForward(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  forward: Forward,
): Promise<void> {
  const halves = new Map<string, { stream: SpdyStream; timer: NodeJS.Timeout }>();
  const begin = async (data: SpdyStream, error: SpdyStream): Promise<void> => {
    const port = Number(data.headers.get('port'));
    try {
      if (!Number.isInteger(port) || port < 1 || port > maxPort)
        throw new Error(`invalid port "${data.headers.get('port')}"`);
      await forward(port, data);
    } catch (cause) {
      error.write(`error forwarding port ${port}: ${(cause as Error).message}`);
    }
    error.end();
    data.end();
    data.resume();
  };
  const onStream = (stream: SpdyStream): void => {
    const id = stream.headers.get('requestid') ?? stream.headers.get('port') ?? '';
    const half = halves.get(id);
    if (!half) {
      const timer = setTimeout(() => {
        halves.delete(id);
        stream.destroy();
      }, pairTimeoutMs);
      halves.set(id, { stream, timer });
      return;
    }
    halves.delete(id);
    clearTimeout(half.timer);
    const isError = stream.headers.get('streamtype') === 'error';
    void begin(isError ? half.stream : stream, isError ? stream : half.stream);
  };
  const transport = await acceptTransport(request, socket, head);
  await new SpdyConnection(transport, onStream).closed;
  for (const { timer } of halves.values()) clearTimeout(timer);
}
