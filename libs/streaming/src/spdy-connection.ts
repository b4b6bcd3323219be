import type { Duplex } from 'node:stream';
import { SpdyHeaders } from './spdy-headers';
import { SpdyStream } from './spdy-stream';

const types = { synStream: 1, synReply: 2, rstStream: 3, ping: 6, goAway: 7, headers: 8 } as const;
const fin = 1;
const cancelled = 5;
const headerBytes = 8;
/** Clients send 32 KB at a time. */
const maxFrameBytes = 1 << 20;
const maxStreams = 1_000;
const heldUpPingMs = 1_000;

/**
 * The server's side of a SPDY/3.1 connection, as Kubernetes clients use it: the client opens streams, and nobody keeps to flow
 * control windows (moby/spdystream knows none), so that the transport's own backpressure has to do.
 * Source: SPDY Protocol draft 3.1, 2.2 Framing and 2.6 Control frames.
 */
export class SpdyConnection {
  /** Resolves when the connection has ended, whatever the reason. */
  readonly closed: Promise<void>;
  readonly #streams = new Map<number, SpdyStream>();
  readonly #headers = new SpdyHeaders();
  #pings = 0;

  /** `onStream` is called for each stream that the client opens. */
  constructor(
    private readonly transport: Duplex,
    private readonly onStream: (stream: SpdyStream) => void,
  ) {
    transport.on('error', () => undefined);
    // A stream that nobody reads holds up the reading of frames; the end of the transport must not wait for it.
    transport.once('close', () => this.#endStreams());
    this.closed = this.#run();
  }

  /** Ends all streams and the transport. */
  close(): void {
    this.transport.destroy();
  }

  async #run(): Promise<void> {
    try {
      let rest = Buffer.alloc(0);
      for await (const chunk of this.transport as AsyncIterable<Buffer>) {
        rest = rest.length > 0 ? Buffer.concat([rest, chunk]) : (chunk as Buffer<ArrayBuffer>);
        for (let length = frameLength(rest); length !== undefined; length = frameLength(rest)) {
          await this.#frame(rest.subarray(0, length));
          rest = rest.subarray(length);
        }
      }
    } catch {
      // A peer that vanishes, or one that talks nonsense: in both cases this is the end.
    } finally {
      this.#endStreams();
      this.#headers.close();
      this.transport.destroy();
    }
  }

  #endStreams(): void {
    for (const stream of this.#streams.values()) stream.destroy();
    this.#streams.clear();
  }

  async #frame(frame: Buffer): Promise<void> {
    const flags = frame.readUInt8(4);
    const payload = frame.subarray(headerBytes);
    const first = frame.readUInt32BE(0);
    if (first < 0x8000_0000) return this.#data(first, payload, flags);
    switch (first & 0xffff) {
      case types.synStream:
        return this.#open(payload, flags);
      case types.synReply:
        return void (await this.#headers.read(payload.subarray(4)));
      case types.headers:
        return void (await this.#headers.read(payload.subarray(4)));
      case types.rstStream:
        return this.#drop(payload.readUInt32BE(0));
      case types.ping:
        // Even numbers are answers to ours.
        return payload.readUInt32BE(0) % 2 === 1 ? this.#control(types.ping, payload) : undefined;
      case types.goAway:
        this.transport.end();
        return;
      default:
        return; // settings and windows say nothing to us
    }
  }

  async #data(id: number, payload: Buffer, flags: number): Promise<void> {
    const stream = this.#streams.get(id);
    // Meanwhile nothing is read, and only what we send finds out that the peer has gone.
    const pings = setInterval(() => void this.#ping().catch(() => undefined), heldUpPingMs);
    await stream?.receive(payload);
    clearInterval(pings);
    if (flags & fin) stream?.receiveEnd();
  }

  async #open(payload: Buffer, flags: number): Promise<void> {
    const id = payload.readUInt32BE(0) & 0x7fff_ffff;
    const headers = await this.#headers.read(payload.subarray(10));
    if (this.#streams.size >= maxStreams || this.#streams.has(id)) return this.#reset(id);
    const reply = Buffer.alloc(4);
    reply.writeUInt32BE(id);
    await this.#control(types.synReply, Buffer.concat([reply, await this.#headers.write(new Map())]));
    const stream = new SpdyStream(id, headers, {
      data: (data, last) => this.#send(dataFrame(id, data, last)),
      reset: () => void this.#reset(id).catch(() => undefined),
    });
    this.#streams.set(id, stream);
    stream.once('close', () => this.#streams.delete(id));
    stream.on('error', () => undefined);
    this.onStream(stream);
    if (flags & fin) stream.receiveEnd();
  }

  #ping(): Promise<void> {
    const payload = Buffer.alloc(4);
    payload.writeUInt32BE((this.#pings += 2));
    return this.#control(types.ping, payload);
  }

  #drop(id: number): void {
    const stream = this.#streams.get(id);
    if (!stream) return;
    // What it has sent before is still worth reading.
    stream.receiveEnd();
    stream.end();
  }

  #reset(id: number): Promise<void> {
    const payload = Buffer.alloc(8);
    payload.writeUInt32BE(id);
    payload.writeUInt32BE(cancelled, 4);
    return this.#control(types.rstStream, payload);
  }

  #control(type: number, payload: Buffer): Promise<void> {
    const head = Buffer.alloc(headerBytes);
    head.writeUInt32BE(0x8003_0000 + type);
    head.writeUInt32BE(payload.length, 4);
    return this.#send(Buffer.concat([head, payload]));
  }

  /** Resolves when the transport has taken it. */
  #send(frame: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.transport.destroyed) return reject(new Error('the connection is closed'));
      this.transport.write(frame, error => (error ? reject(error) : resolve()));
    });
  }
}

/** The length of the first frame when it is there as a whole. Throws for frames that are too large. */
function frameLength(data: Buffer): number | undefined {
  if (data.length < headerBytes) return undefined;
  const length = data.readUInt32BE(4) & 0xff_ffff;
  if (length > maxFrameBytes) throw new Error('the frame is too large');
  return data.length < headerBytes + length ? undefined : headerBytes + length;
}

function dataFrame(id: number, data: Buffer, last: boolean): Buffer {
  const head = Buffer.alloc(headerBytes);
  head.writeUInt32BE(id);
  head.writeUInt32BE(data.length, 4);
  head.writeUInt8(last ? fin : 0, 4);
  return Buffer.concat([head, data]);
}
