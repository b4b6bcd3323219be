import { once } from 'node:events';
import WebSocket from 'ws';

/** A client of a remote command that collects what comes on each channel. */
export class StreamClient {
  readonly output = new Map<number, string>();
  readonly socket: WebSocket;
  readonly closed: Promise<number>;

  constructor(url: string, protocol = 'v5.channel.k8s.io') {
    this.socket = new WebSocket(url.replace('http:', 'ws:'), [protocol]);
    this.socket.on('message', (data: Buffer) => {
      const channel = data[0] ?? -1;
      this.output.set(channel, (this.output.get(channel) ?? '') + data.subarray(1).toString('utf8'));
    });
    this.closed = new Promise((resolve, reject) => {
      this.socket.on('close', resolve);
      this.socket.on('error', reject);
    });
    this.closed.catch(() => undefined);
  }

  send(channel: number, text: string): void {
    this.socket.send(Buffer.concat([Buffer.of(channel), Buffer.from(text)]));
  }

  async opened(): Promise<void> {
    if (this.socket.readyState === WebSocket.CONNECTING) await once(this.socket, 'open');
  }

  /** What has come of the command's output. */
  get stdout(): string {
    return this.output.get(1) ?? '';
  }

  /** The exit code that was told at the end; undefined when something else was. */
  get exitCode(): number | undefined {
    const { status, details } = this.status();
    return status === 'Success' ? 0 : details && Number(details.causes[0]?.message);
  }

  status(): { status: string; details?: { causes: { message: string }[] } } {
    return JSON.parse(this.output.get(3) ?? '{}') as { status: string };
  }
}
