import type { Readable } from 'node:stream';

/** Where a command's output goes; `error` tells how it ended. */
export type OutputChannel = 'stdout' | 'stderr' | 'error';

export interface RemoteCommandStreams {
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
  tty: boolean;
}

/** One client's streams, whatever carries them. */
export interface CommandTransport {
  /** The subprotocol that was agreed on. */
  readonly protocol: string;
  /** What the client types; ends when it closes its input, or goes away. It holds the client back while nobody reads. */
  readonly stdin: Readable;
  /** Aborted when the client has gone. */
  readonly signal: AbortSignal;
  /** Calls back with each JSON text of a terminal size. */
  onResize(listener: (text: string) => void): void;
  /** Resolves when the client is not far behind, at once when it has gone. */
  send(channel: OutputChannel, data: Uint8Array): Promise<void>;
  /** Ends the outputs and then the connection. */
  close(): Promise<void>;
}

export interface TerminalSize {
  width: number;
  height: number;
}

/** How a command ended, for the error channel. */
export type RemoteCommandResult = { exitCode: number } | { error: string };

/** The first version that tells the end of a command as a Status; before, an error was told in words. */
const statusVersions = /^v[45]\./;

/** The metav1.Status that clients read the exit code from. */
export function resultStatus(result: RemoteCommandResult): Record<string, unknown> {
  if ('error' in result) {
    const { error } = result;
    return {
      metadata: {},
      status: 'Failure',
      reason: 'InternalError',
      message: `Internal error occurred: ${error}`,
      details: { causes: [{ message: error }] },
      code: 500,
    };
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
  readonly #transport: CommandTransport;
  readonly #listeners = new Set<(size: TerminalSize) => void>();
  #lastSize: TerminalSize | undefined;

  constructor(transport: CommandTransport) {
    this.#transport = transport;
    transport.onResize(text => this.#resize(text));
  }

  get stdin(): Readable {
    return this.#transport.stdin;
  }

  /** Aborted when the client has gone. */
  get signal(): AbortSignal {
    return this.#transport.signal;
  }

  #resize(text: string): void {
    try {
      const { Width: width, Height: height } = JSON.parse(text) as { Width?: unknown; Height?: unknown };
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
    await this.#transport.send(stream, data);
  }

  /** Sends a whole stream; with a client that has gone it is read to its end all the same, so that the command can finish. */
  async pipe(stream: 'stdout' | 'stderr', source: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const chunk of source) await this.write(stream, chunk);
  }

  /** Reports the end of the command and closes the connection. */
  async finish(result: RemoteCommandResult): Promise<void> {
    const transport = this.#transport;
    const status = resultStatus(result);
    if (statusVersions.test(transport.protocol)) await transport.send('error', Buffer.from(JSON.stringify(status)));
    else if (status['message']) await transport.send('error', Buffer.from(String(status['message'])));
    await transport.close();
  }
}
