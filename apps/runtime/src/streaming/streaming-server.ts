import http, { type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock, Logger } from '@naru/foundation';
import {
  RemoteCommandServer,
  servePortForward,
  type Forward,
  type RemoteCommandSession,
  type RemoteCommandStreams,
} from '@naru/streaming';
import { StreamTokens } from './stream-tokens';

/** What is to happen once the client connects. */
export type PendingStream =
  | {
      kind: 'exec' | 'attach';
      streams: RemoteCommandStreams;
      run: (session: RemoteCommandSession) => Promise<void>;
    }
  | { kind: 'portforward'; forward: Forward };

/**
 * Serves the addresses that Exec, Attach and PortForward hand out. The kubelet connects its client's stream to them; so it listens on loopback only,
 * and whoever connects needs a token that is good for one connection.
 */
export class StreamingServer {
  readonly #tokens: StreamTokens<PendingStream>;
  readonly #remoteCommands = new RemoteCommandServer();
  readonly #server = http.createServer((_, response) => response.writeHead(400).end('upgrade required\n'));
  /** An upgraded connection is none of the HTTP server's any more. */
  readonly #upgraded = new Set<Duplex>();
  #base = '';

  constructor(private readonly deps: { clock: Clock; logger: Logger }) {
    this.#tokens = new StreamTokens(deps.clock);
    this.#server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) =>
      this.#upgrade(request, socket, head),
    );
  }

  /** `host:port`; port 0 picks a free one. */
  async listen(address: string): Promise<void> {
    const at = address.lastIndexOf(':');
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(Number(address.slice(at + 1)), address.slice(0, at), resolve);
    });
    const { address: host, port, family } = this.#server.address() as AddressInfo;
    this.#base = `http://${family === 'IPv6' ? `[${host}]` : host}:${port}`;
  }

  /** The address under which the stream can be had once. */
  prepare(stream: PendingStream): string {
    return `${this.#base}/${stream.kind}/${this.#tokens.issue(stream)}`;
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // An upgraded connection has no listener: one that is reset would end the process.
    socket.on('error', () => undefined);
    const [, kind, token = ''] = (request.url ?? '').split('?', 1)[0]!.split('/');
    const pending = this.#tokens.redeem(token);
    if (!pending || pending.kind !== kind) {
      socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
      return;
    }
    this.#upgraded.add(socket);
    socket.once('close', () => this.#upgraded.delete(socket));
    this.#serve(pending, request, socket, head).catch((err: unknown) =>
      this.deps.logger.warn({ err, kind }, 'stream failed'),
    );
  }

  async #serve(pending: PendingStream, request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    if (pending.kind === 'portforward') return servePortForward(request, socket, head, pending.forward);
    await pending.run(await this.#remoteCommands.accept(request, socket, head, pending.streams));
  }

  /** Cuts off whoever is still connected. */
  async close(): Promise<void> {
    this.#server.closeAllConnections();
    for (const socket of this.#upgraded) socket.destroy();
    await new Promise<void>(resolve => this.#server.close(() => resolve()));
  }
}
