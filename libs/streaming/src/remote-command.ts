import type { IncomingMessage } from 'node:http';
import { PassThrough, type Duplex, type Readable } from 'node:stream';
import { WebSocketServer, type RawData, type WebSocket } from 'ws';

/**
 * The server's side of `kubectl exec` and `attach` over WebSocket: each binary message is one byte with the channel, then data.
 * Sources: k8s.io/apimachinery pkg/util/remotecommand/constants.go; k8s.io/kubelet pkg/cri/streaming/remotecommand.
 */
export const remoteCommandProtocols = ['v5.channel.k8s.io', 'v4.channel.k8s.io'] as const;

export type RemoteCommandProtocol = (typeof remoteCommandProtocols)[number];

const channels = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4 } as const;
/** Version 5: the next byte names the channel that the sender has closed. */
const closeSignal = 255;

/** Larger messages are refused; clients send 32 KB at a time. */
const maxMessageBytes = 8 << 20;
/** So much may wait for a slow client before the command is held back. */
const maxBufferedBytes = 1 << 20;
const closeTimeoutMs = 5_000;

export interface RemoteCommandStreams {
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
  tty: boolean;
}

export interface TerminalSize {
  width: number;
  height: number;
}

/** How a command ended, for the error channel. */
export type RemoteCommandResult = { exitCode: number } | { error: string };

function toBuffer(data: RawData): Buffer {
  if (Array.isArray(data)) return Buffer.concat(data);
  return Buffer.isBuffer(data) ? data : Buffer.from(data);
}

/** The metav1.Status that clients read the exit code from. */
export function resultStatus(result: RemoteCommandResult): Record<string, unknown> {
  if ('error' in result) {
    return { metadata: {}, status: 'Failure', reason: 'InternalError', message: result.error, code: 500 };
  }
  if (result.exitCode === 0) return { metadata: {}, status: 'Success' };
  return {
    metadata: {},
    status: 'Failure',
    reason: 'NonZeroExitCode',
    message: `command terminated with non-zero exit code: exit status ${result.exitCode}`,
    details: { causes: [{ reason: 'ExitCode', message: String(result.exitCode) }] },
  };
}

/** One client that is connected to a command. */
export class RemoteCommandSession {
  /** What the client types; ends when it closes its input, or goes away. It holds the client back while nobody reads. */
  readonly stdin: Readable;
  /** Aborted when the client has gone. */
  readonly signal: AbortSignal;
  readonly #socket: WebSocket;
  readonly #stdin = new PassThrough();
  readonly #listeners = new Set<(size: TerminalSize) => void>();
  #lastSize: TerminalSize | undefined;

  constructor(socket: WebSocket, streams: RemoteCommandStreams) {
    this.#socket = socket;
    this.stdin = this.#stdin;
    const controller = new AbortController();
    this.signal = controller.signal;
    if (!streams.stdin) this.#stdin.end();
    socket.on('message', (data, isBinary) => {
      if (isBinary) this.#receive(toBuffer(data));
    });
    this.#stdin.on('drain', () => socket.resume());
    socket.on('close', () => {
      this.#endInput();
      controller.abort(new Error('the client has gone'));
    });
    socket.on('error', () => socket.terminate());
    // Tells the client that the streams are there: upstream's server does the same on the first channel it can write to.
    socket.send(Buffer.of(streams.stdout ? channels.stdout : streams.stderr ? channels.stderr : channels.error));
  }

  get protocol(): string {
    return this.#socket.protocol;
  }

  #endInput(): void {
    if (!this.#stdin.writableEnded) this.#stdin.end();
  }

  #receive(message: Buffer): void {
    const [channel] = message;
    const data = message.subarray(1);
    if (channel === channels.stdin && data.length > 0 && !this.#stdin.writableEnded) {
      if (!this.#stdin.write(data)) this.#socket.pause();
    } else if (channel === channels.resize) this.#resize(data);
    else if (channel === closeSignal && this.protocol === 'v5.channel.k8s.io' && data[0] === channels.stdin)
      this.#endInput();
  }

  #resize(data: Buffer): void {
    try {
      const { Width: width, Height: height } = JSON.parse(data.toString('utf8')) as {
        Width?: unknown;
        Height?: unknown;
      };
      if (!Number.isInteger(width) || !Number.isInteger(height)) return;
      this.#lastSize = { width: Number(width), height: Number(height) };
      for (const listener of this.#listeners) listener(this.#lastSize);
    } catch {
      // A size that cannot be read changes nothing.
    }
  }

  /** Calls back with each size of the client's terminal, the last one told so far first. */
  onResize(listener: (size: TerminalSize) => void): void {
    this.#listeners.add(listener);
    if (this.#lastSize) listener(this.#lastSize);
  }

  /** Sends output. Resolves when the client is not far behind: wait for it before sending more. */
  async write(stream: 'stdout' | 'stderr', data: Uint8Array): Promise<void> {
    await this.#send(channels[stream], data);
  }

  async #send(channel: number, data: Uint8Array): Promise<void> {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    const message = Buffer.allocUnsafe(data.length + 1);
    message[0] = channel;
    message.set(data, 1);
    const sent = new Promise<void>(resolve => this.#socket.send(message, () => resolve()));
    if (this.#socket.bufferedAmount > maxBufferedBytes) await sent;
  }

  /** Sends a whole stream; with a client that has gone it is read to its end all the same, so that the command can finish. */
  async pipe(stream: 'stdout' | 'stderr', source: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const chunk of source) await this.write(stream, chunk);
  }

  /** Reports the end of the command and closes the connection. */
  async finish(result: RemoteCommandResult): Promise<void> {
    const socket = this.#socket;
    await this.#send(channels.error, Buffer.from(JSON.stringify(resultStatus(result))));
    if (socket.readyState === socket.CLOSED) return;
    await new Promise<void>(resolve => {
      const timer = setTimeout(() => socket.terminate(), closeTimeoutMs);
      socket.once('close', () => {
        clearTimeout(timer);
        resolve();
      });
      socket.resume(); // the client's answer to the close must be read
      socket.close(1000);
    });
  }
}

/** Accepts the WebSocket upgrades of remote commands; clients choose the newest protocol that both speak. */
export class RemoteCommandServer {
  readonly #server = new WebSocketServer({
    noServer: true,
    maxPayload: maxMessageBytes,
    handleProtocols: offered => remoteCommandProtocols.find(protocol => offered.has(protocol)) ?? false,
  });

  /** Takes over an upgraded connection. Answers 400, and rejects, when the client offers no protocol that is known. */
  accept(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    streams: RemoteCommandStreams,
  ): Promise<RemoteCommandSession> {
    const offered = String(request.headers['sec-websocket-protocol'] ?? '')
      .split(',')
      .map(name => name.trim());
    if (!remoteCommandProtocols.some(protocol => offered.includes(protocol))) {
      const text = `unable to upgrade: none of the protocols [${offered.join(' ')}] is supported`;
      socket.end(
        `HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: ${text.length}\r\nConnection: close\r\n\r\n${text}`,
      );
      return Promise.reject(new Error(text));
    }
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      this.#server.handleUpgrade(request, socket, head, webSocket => {
        socket.off('error', reject);
        resolve(new RemoteCommandSession(webSocket, streams));
      });
    });
  }
}
