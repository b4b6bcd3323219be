import { isReason, type Clock } from '@naru/foundation';

/** To one group and version at a time: those who wait for a slow server must not take all connections. */
const maxCalls = 4;
/** How long a server that did not answer in time is left alone. */
const pauseMs = 10_000;

interface Server {
  running: number;
  readonly waiting: (() => void)[];
  /** How it last failed to answer in time. */
  silence: Error | undefined;
  askAgainMs: number;
}

/**
 * Keeps servers that do not answer from taking the time of every worker: after a call that nobody answered in time the
 * others fail as it did, at once, until one of them may try again. Servers are told apart by group and version.
 */
export class ExtensionCalls {
  private readonly servers = new Map<string, Server>();

  constructor(private readonly clock: Clock) {}

  async run<T>(path: string, call: () => Promise<T>): Promise<T> {
    const key = path.split('/', 4).join('/');
    let server = this.servers.get(key);
    if (!server) this.servers.set(key, (server = { running: 0, waiting: [], silence: undefined, askAgainMs: 0 }));
    await this.begin(server);
    try {
      const answer = await call();
      server.silence = undefined;
      return answer;
    } catch (error) {
      server.silence = isReason(error, 'Timeout') ? (error as Error) : undefined;
      server.askAgainMs = this.clock.now() + pauseMs;
      throw error;
    } finally {
      server.running--;
      const next = server.waiting.splice(0, server.silence ? Infinity : 1);
      for (const wake of next) wake();
      if (server.running === 0 && next.length === 0 && !server.silence) this.servers.delete(key);
    }
  }

  /** Waits for a turn, and takes it. */
  private async begin(server: Server): Promise<void> {
    for (;;) {
      const { silence, running, askAgainMs } = server;
      if (silence && (running > 0 || this.clock.now() < askAgainMs)) throw silence;
      if (silence || running < maxCalls) return void server.running++;
      await new Promise<void>(resolve => server.waiting.push(resolve));
    }
  }
}
