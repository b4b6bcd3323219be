import type { Clock, Logger } from '@naru/foundation';
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
    void this.keepRenewing();
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

  private async keepRenewing(): Promise<void> {
    const { signal } = this.controller;
    const { clock, logger } = this.deps;
    while (!signal.aborted) {
      await clock.sleep(renewMs, signal).catch(() => undefined);
      if (signal.aborted) return;
      await this.renew().catch((err: unknown) => logger.warn({ err }, 'this server cannot say that it is there'));
    }
  }

  private async renew(): Promise<void> {
    const { storage, address } = this.deps;
    await storage.commitClaim({ key: prefix + address, value: Buffer.from(address), ttlSeconds });
    await this.publish();
  }

  private async publish(): Promise<void> {
    const present = await this.deps.storage.claims(prefix);
    const addresses = present.map(({ key }) => key.slice(prefix.length));
    if (addresses.length > 0) await this.deps.publish(addresses);
  }
}
