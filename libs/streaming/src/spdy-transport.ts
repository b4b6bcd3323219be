import type { Duplex, Readable } from 'node:stream';
import { PassThrough } from 'node:stream';
import type { CommandTransport, OutputChannel, RemoteCommandStreams } from './remote-command';
import { SpdyConnection } from './spdy-connection';
import type { SpdyStream } from './spdy-stream';

/** What `exec` and `attach` speak over SPDY, the best first. Source: k8s.io/apimachinery pkg/util/remotecommand/constants.go. */
export const spdyProtocols = ['v4.channel.k8s.io', 'v3.channel.k8s.io', 'v2.channel.k8s.io'] as const;

/** Clients open all streams at once. Source: StreamCreationTimeout of k8s.io/kubelet pkg/cri/streaming. */
const streamsTimeoutMs = 30_000;
const closeTimeoutMs = 5_000;
/** So much may wait for a slow client before the command is held back. */
const maxBufferedBytes = 1 << 20;
const maxSizeText = 1024;

/** A command's streams as streams of a SPDY connection, which the client opens. */
export class SpdyTransport implements CommandTransport {
  readonly stdin: Readable;
  readonly signal: AbortSignal;
  readonly #connection: SpdyConnection;
  readonly #streams: ReadonlyMap<string, SpdyStream>;
  #resized: (text: string) => void = () => undefined;

  private constructor(
    readonly protocol: string,
    connection: SpdyConnection,
    streams: ReadonlyMap<string, SpdyStream>,
  ) {
    this.#connection = connection;
    this.#streams = streams;
    this.stdin = streams.get('stdin') ?? new PassThrough().end();
    const controller = new AbortController();
    this.signal = controller.signal;
    void connection.closed.then(() => controller.abort(new Error('the client has gone')));
    // What nobody reads must not hold up the rest of the connection.
    for (const [name, stream] of streams) if (name !== 'stdin' && name !== 'resize') stream.resume();
    this.#followSizes(streams.get('resize'));
  }

  /** Resolves when the client has opened what it asked for. Rejects, and ends the connection, when it does not. */
  static async open(transport: Duplex, protocol: string, wanted: RemoteCommandStreams): Promise<SpdyTransport> {
    const expected = ['error'];
    for (const name of ['stdin', 'stdout', 'stderr'] as const) if (wanted[name]) expected.push(name);
    if (wanted.tty && protocol !== 'v2.channel.k8s.io') expected.push('resize');
    const streams = new Map<string, SpdyStream>();
    let complete: () => void;
    const opened = new Promise<boolean>(resolve => (complete = () => resolve(true)));
    const connection = new SpdyConnection(transport, stream => {
      const type = stream.headers.get('streamtype') ?? '';
      if (!expected.includes(type) || streams.has(type)) return void stream.destroy();
      streams.set(type, stream);
      if (streams.size === expected.length) complete();
    });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>(resolve => (timer = setTimeout(() => resolve(false), streamsTimeoutMs)));
    const isComplete = await Promise.race([opened, late, connection.closed.then(() => false)]);
    clearTimeout(timer);
    if (!isComplete) {
      connection.close();
      throw new Error('timed out waiting for client to create streams');
    }
    return new SpdyTransport(protocol, connection, streams);
  }

  onResize(listener: (text: string) => void): void {
    this.#resized = listener;
  }

  async send(channel: OutputChannel, data: Uint8Array): Promise<void> {
    const stream = this.#streams.get(channel);
    if (!stream || stream.destroyed || stream.writableEnded || data.length === 0) return;
    const sent = new Promise<void>(resolve => stream.write(data, () => resolve()));
    if (stream.writableLength > maxBufferedBytes) await sent;
  }

  async close(): Promise<void> {
    const sent = [...this.#streams.values()].map(stream => new Promise<void>(resolve => stream.resume().end(resolve)));
    // As slowly as the client reads; only then is it time for it to go.
    await Promise.race([Promise.all(sent), this.#connection.closed]);
    const timer = setTimeout(() => this.#connection.close(), closeTimeoutMs);
    await this.#connection.closed;
    clearTimeout(timer);
  }

  #followSizes(stream: Readable | undefined): void {
    let rest = '';
    stream?.on('data', (chunk: Buffer) => {
      const texts = `${rest}${chunk.toString('utf8')}`.split('\n');
      rest = (texts.pop() ?? '').slice(0, maxSizeText);
      for (const text of texts) this.#resized(text);
    });
  }
}
