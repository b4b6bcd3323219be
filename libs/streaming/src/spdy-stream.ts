import { Duplex } from 'node:stream';

/** What a stream asks of its connection. */
export interface SpdyStreamSink {
  data(data: Buffer, last: boolean): Promise<void>;
  reset(): void;
}

/** So much a stream takes before it holds the connection back. */
const bufferBytes = 1 << 20;

/** One stream of a SPDY connection. Ending it closes our half; destroying it resets it. */
export class SpdyStream extends Duplex {
  #room: (() => void) | undefined;
  #ended = false;

  constructor(
    readonly id: number,
    /** Names in lower case. */
    readonly headers: ReadonlyMap<string, string>,
    private readonly sink: SpdyStreamSink,
  ) {
    super({ readableHighWaterMark: bufferBytes, allowHalfOpen: true });
  }

  /** For the connection: data from the peer. Resolves when there is room for more. */
  async receive(data: Buffer): Promise<void> {
    if (this.#ended || this.destroyed || data.length === 0 || this.push(data)) return;
    await new Promise<void>(resolve => (this.#room = resolve));
  }

  /** For the connection: the peer has closed its half. */
  receiveEnd(): void {
    if (this.#ended || this.destroyed) return;
    this.#ended = true;
    this.push(null);
    // Nobody may be reading: an end that is not read would keep the stream for ever.
    if (this.readableLength === 0) this.resume();
  }

  override _read(): void {
    this.#room?.();
    this.#room = undefined;
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: (error?: Error) => void): void {
    this.sink.data(chunk, false).then(() => done(), done);
  }

  override _final(done: (error?: Error) => void): void {
    this.sink.data(Buffer.alloc(0), true).then(() => done(), done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this._read();
    if (!this.#ended || !this.writableFinished) this.sink.reset();
    done(error);
  }
}
