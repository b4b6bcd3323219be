import { PassThrough, type Readable } from 'node:stream';
import type { RawData, WebSocket } from 'ws';
import type { CommandTransport, OutputChannel, RemoteCommandStreams } from './remote-command';

/**
 * The subprotocols of `exec` and `attach` over WebSocket, the best first. Each message is one byte with the channel, then data; in
 * those named base64 the channel is a digit and the data is text.
 * Sources: k8s.io/apimachinery pkg/util/remotecommand/constants.go and pkg/util/httpstream/wsstream.
 */
export const webSocketProtocols = [
  'v5.channel.k8s.io',
  'v4.channel.k8s.io',
  'v4.base64.channel.k8s.io',
  'channel.k8s.io',
  'base64.channel.k8s.io',
] as const;

const channels = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4 } as const;
const digitZero = 0x30;
/** Version 5: the next byte names the channel that the sender has closed. */
const closeSignal = 255;

/** So much may wait for a slow client before the command is held back. */
const maxBufferedBytes = 1 << 20;
const closeTimeoutMs = 5_000;

function toBuffer(data: RawData): Buffer {
  if (Array.isArray(data)) return Buffer.concat(data);
  return Buffer.isBuffer(data) ? data : Buffer.from(data);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** A command's streams as the channels of a WebSocket. */
export class WebSocketTransport implements CommandTransport {
  readonly stdin: Readable;
  readonly signal: AbortSignal;
  readonly protocol: string;
  readonly #socket: WebSocket;
  readonly #isText: boolean;
  readonly #stdin = new PassThrough();
  /** Resolves when the last message is on its way, and so all before it. */
  #sent = Promise.resolve();
  #resized: (text: string) => void = () => undefined;

  constructor(socket: WebSocket, streams: RemoteCommandStreams) {
    this.#socket = socket;
    this.protocol = socket.protocol;
    this.#isText = socket.protocol.includes('base64.');
    this.stdin = this.#stdin;
    const controller = new AbortController();
    this.signal = controller.signal;
    if (!streams.stdin) this.#stdin.end();
    socket.on('message', data => this.#receive(toBuffer(data)));
    this.#stdin.on('drain', () => socket.resume());
    socket.on('close', () => {
      this.#endInput();
      controller.abort(new Error('the client has gone'));
    });
    socket.on('error', () => socket.terminate());
    // Tells the client that the streams are there: upstream's server does the same on the first channel it can write to.
    void this.send(streams.stdout ? 'stdout' : streams.stderr ? 'stderr' : 'error', new Uint8Array());
  }

  onResize(listener: (text: string) => void): void {
    this.#resized = listener;
  }

  async send(channel: OutputChannel, data: Uint8Array): Promise<void> {
    const socket = this.#socket;
    if (socket.readyState !== socket.OPEN) return;
    const message = this.#isText
      ? `${channels[channel]}${Buffer.from(data).toString('base64')}`
      : Buffer.concat([Buffer.of(channels[channel]), data]);
    this.#sent = new Promise<void>(resolve => socket.send(message, () => resolve()));
    if (socket.bufferedAmount > maxBufferedBytes) await this.#sent;
  }

  async close(): Promise<void> {
    const socket = this.#socket;
    socket.resume(); // the client's answer to the close, or its leaving, must be read
    // As slowly as the client reads; only then is it time for it to answer.
    await Promise.race([this.#sent, aborted(this.signal)]);
    if (socket.readyState === socket.CLOSED) return;
    await new Promise<void>(resolve => {
      const timer = setTimeout(() => socket.terminate(), closeTimeoutMs);
      socket.once('close', () => {
        clearTimeout(timer);
        resolve();
      });
      socket.close(1000);
    });
  }

  #endInput(): void {
    if (!this.#stdin.writableEnded) this.#stdin.end();
  }

  #receive(message: Buffer): void {
    if (message.length === 0) return;
    const channel = this.#isText ? message[0]! - digitZero : message[0]!;
    const data = this.#isText ? Buffer.from(message.toString('latin1', 1), 'base64') : message.subarray(1);
    if (channel === channels.stdin && data.length > 0 && !this.#stdin.writableEnded) {
      if (!this.#stdin.write(data)) this.#socket.pause();
    } else if (channel === channels.resize) this.#resized(data.toString('utf8'));
    else if (channel === closeSignal && this.protocol === 'v5.channel.k8s.io' && data[0] === channels.stdin)
      this.#endInput();
  }
}
