import { runPeriodically, type Clock, type Logger } from '@naru/foundation';
import type { Storage } from '../storage/storage';

export interface ServerPresenceDeps {
  storage: Storage;
  clock: Clock;
  logger: Logger;
  /** This server's IP. */
  address: string;
  /** Tells the world which servers there are. */
  publish(addresses: readonly string[]): Promise<void>;
}

const prefix = 'masterleases/';
/** Upstream's lease endpoint reconciler: a server that is silent for this long is no endpoint any more. */
const ttlSeconds = 15;
const renewMs = 10_000;

/** Which of several api-servers are there: each holds a key that goes by itself, and each publishes all of them. */
export class ServerPresence {
  private readonly controller = new AbortController();

  constructor(private readonly deps: ServerPresenceDeps) {}

  /** Resolves when this server is known; goes on renewing. */
  async start(): Promise<void> {
    await this.renew();
    const { clock, logger } = this.deps;
    const failure = 'this server cannot say that it is there';
    const { signal } = this.controller;
    void runPeriodically({ clock, logger, work: () => this.renew(), periodMs: renewMs, failure }, signal);
  }

  async stop(): Promise<void> {
    this.controller.abort();
    const { storage, address, logger } = this.deps;
    try {
      await storage.commitClaim({ key: prefix + address, value: undefined });
      await this.publish();
    } catch (err) {
      logger.info({ err }, 'the store hears of this end only by silence');
    }
  }

  private async renew(): Promise<void> {
    const { storage, address } = this.deps;
    if (this.controller.signal.aborted) return;
    await storage.commitClaim({ key: prefix + address, value: Buffer.from(address), ttlSeconds });
    await this.publish();
  }

  private async publish(): Promise<void> {
    const present = await this.deps.storage.claims(prefix);
    const addresses = present.map(({ key }) => key.slice(prefix.length));
    if (addresses.length > 0) await this.deps.publish(addresses);
  }
}
