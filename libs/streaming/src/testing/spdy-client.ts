import http from 'node:http';
import type { Duplex } from 'node:stream';
import { SpdyHeaders } from '../spdy-headers';

/** Just enough of a client: frames by hand, and what comes back by stream. */
export class SpdyClient {
  readonly received = new Map<number, string>();
  readonly ended = new Set<number>();
  readonly pings: number[] = [];
  private readonly headers = new SpdyHeaders();
  private rest = Buffer.alloc(0);

  constructor(private readonly transport: Duplex) {
    transport.on('error', () => undefined);
    transport.on('data', (chunk: Buffer) => this.read(chunk));
  }

  private read(chunk: Buffer): void {
    this.rest = Buffer.concat([this.rest, chunk]);
    for (;;) {
      const length = this.rest.length < 8 ? Infinity : 8 + (this.rest.readUInt32BE(4) & 0xff_ffff);
      if (this.rest.length < length) return;
      const frame = this.rest.subarray(0, length);
      this.rest = this.rest.subarray(length);
      const id = frame.readUInt32BE(0);
      if (id === 0x8003_0006) this.pings.push(frame.readUInt32BE(8));
      if (id >= 0x8000_0000) continue;
      this.received.set(id, (this.received.get(id) ?? '') + frame.toString('utf8', 8));
      if (frame.readUInt8(4) & 1) this.ended.add(id);
    }
  }

  private send(first: number, flags: number, payload: Buffer): void {
    const head = Buffer.alloc(8);
    head.writeUInt32BE(first);
    head.writeUInt32BE(payload.length, 4);
    head.writeUInt8(flags, 4);
    // In pieces: a frame need not come at once.
    for (const piece of [head.subarray(0, 3), Buffer.concat([head.subarray(3), payload])]) this.transport.write(piece);
  }

  async open(id: number, headers: Record<string, string>): Promise<void> {
    const fixed = Buffer.alloc(10);
    fixed.writeUInt32BE(id);
    this.send(0x8003_0001, 0, Buffer.concat([fixed, await this.headers.write(new Map(Object.entries(headers)))]));
  }

  /** The two streams of a forwarded connection, as client-go opens them. */
  async connect(id: number, port: string): Promise<void> {
    await this.open(id, { streamType: 'error', port, requestID: String(id) });
    this.data(id, '', true);
    await this.open(id + 2, { streamType: 'data', port, requestID: String(id) });
  }

  data(id: number, text: string, last = false): void {
    this.send(id, last ? 1 : 0, Buffer.from(text));
  }

  ping(id: number): void {
    const payload = Buffer.alloc(4);
    payload.writeUInt32BE(id);
    this.send(0x8003_0006, 0, payload);
  }

  close(): void {
    this.transport.destroy();
  }
}

/** Upgrades a connection to SPDY as clients do. */
export function openSpdy(port: number, path: string, protocols: string): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const headers = { connection: 'Upgrade', upgrade: 'SPDY/3.1', 'x-stream-protocol-version': protocols };
    http
      .request({ port, path, host: '127.0.0.1', method: 'POST', headers })
      .on('upgrade', (response, socket) => {
        resolve(Object.assign(socket, { protocol: response.headers['x-stream-protocol-version'] }));
      })
      .on('response', response => reject(new Error(`refused with ${response.statusCode}`)))
      .on('error', reject)
      .end();
  });
}
