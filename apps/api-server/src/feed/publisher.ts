import {
  Events,
  RetentionPolicy,
  StorageType,
  DiscardPolicy,
  connect,
  headers,
  nanos,
  type ConnectionOptions,
  type NatsConnection,
} from 'nats';
import type { Clock, Logger } from '@naru/foundation';
import { secrets } from '@naru/api';
import {
  closeBus,
  feedEpochSubject,
  feedHeaders,
  feedStream,
  feedSubject,
  isTold,
  type FeedEventType,
} from '@naru/client';
import type { CommittedEvent } from '../storage/storage';

export interface FeedPublisherDeps {
  /** Where the bus is, and with which certificate. */
  connection: ConnectionOptions;
  logger: Logger;
  clock: Clock;
}

/** How long and how much the stream remembers: enough for a reader's short break. */
const maxAgeMs = 10 * 60_000;
const maxStreamBytes = 64 * 1024 * 1024;
const duplicateWindowMs = 30_000;
/** What may be on its way to the bus; beyond that changes are dropped, and readers told to list again. */
const maxOutstandingBytes = 32 * 1024 * 1024;
/** A partition that has been quiet for so long gets its bookmark. */
const bookmarkDelayMs = 1000;
const sweepIntervalMs = 500;
const retryDelayMs = 500;
const requestTimeoutMs = 3000;

interface Partition {
  group: string;
  resource: string;
  partition: string;
  revision: number;
  changedAtMs: number;
}

const empty = new Uint8Array();

/**
 * Tells the bus of every commit, in order, after it is durable. The bus is never waited for: while it is away, changes
 * are dropped, and when it is back a new epoch makes every reader list again.
 */
export class FeedPublisher {
  private connection: NatsConnection | undefined;
  private live = false;
  private closed = false;
  private outstandingBytes = 0;
  private flushing = false;
  /** The last change of each partition; quiet ones without a bookmark yet are in `dirty`. */
  private readonly partitions = new Map<string, Partition>();
  private readonly dirty = new Set<Partition>();
  private cancelSweep: () => void = () => undefined;

  constructor(private readonly deps: FeedPublisherDeps) {}

  /** Connects, and keeps connecting, in the background. */
  start(): void {
    void this.run();
    this.scheduleSweep();
  }

  get connected(): boolean {
    return this.live;
  }

  publish(events: readonly CommittedEvent[]): void {
    for (const { definition, event } of events) {
      const { group, resource } = definition.type;
      if (!isTold(group, resource)) continue;
      const { entry, type, revision } = event;
      const name = `${group}/${resource}/${entry.fields['spec.nodeName'] ?? ''}`;
      let place = this.partitions.get(name);
      const previous = place?.revision;
      if (!place) {
        const partition = entry.fields['spec.nodeName'] ?? '';
        this.partitions.set(name, (place = { group, resource, partition, revision, changedAtMs: 0 }));
      }
      place.revision = revision;
      place.changedAtMs = this.deps.clock.now();
      if (!this.live) continue;
      this.dirty.add(place);
      // Confidential data never travels on the bus: readers fetch it.
      const payload = group === '' && resource === secrets.resource ? empty : entry.bytes;
      const subject = feedSubject({ ...place, namespace: entry.namespace, name: entry.name });
      this.send(subject, type, revision, previous, `${revision}.${name}`, payload);
    }
    if (events.length > 0 && this.live) this.watchBacklog();
  }

  async close(): Promise<void> {
    this.closed = true;
    this.live = false;
    this.cancelSweep();
    await closeBus(this.connection);
  }

  private send(
    subject: string,
    type: FeedEventType,
    revision: number,
    previous: number | undefined,
    id: string,
    payload: Uint8Array,
  ): void {
    const head = headers();
    head.set(feedHeaders.type, type);
    head.set(feedHeaders.version, String(revision));
    if (previous !== undefined) head.set(feedHeaders.previous, String(previous));
    if (id !== '') head.set('Nats-Msg-Id', id);
    this.outstandingBytes += payload.length;
    // No acknowledgement is awaited: a loss shows in the chain of versions, or at the next bookmark.
    this.connection?.publish(subject, payload, { headers: head });
  }

  /** A flush makes a round trip: when it is back, all that was written before has arrived. */
  private watchBacklog(): void {
    if (this.outstandingBytes > maxOutstandingBytes) {
      this.deps.logger.warn({ outstandingBytes: this.outstandingBytes }, 'bus too slow, feed interrupted');
      this.live = false;
    }
    if (this.flushing || !this.connection) return;
    this.flushing = true;
    const before = this.outstandingBytes;
    this.connection.flush().then(
      () => {
        this.flushing = false;
        this.outstandingBytes -= before;
        if (!this.live && !this.closed) void this.revive();
        else if (this.outstandingBytes > 0) this.watchBacklog();
      },
      () => {
        this.flushing = false;
        this.outstandingBytes = 0;
      },
    );
  }

  private async run(): Promise<void> {
    const { connection: options, logger } = this.deps;
    while (!this.closed) {
      try {
        this.connection = await connect({
          ...options,
          name: 'api-server',
          maxReconnectAttempts: -1,
          reconnectTimeWait: retryDelayMs,
          timeout: requestTimeoutMs,
          pingInterval: 10_000,
          maxPingOut: 2,
        });
        await this.revive();
        for await (const status of this.connection.status()) {
          if (status.type === Events.Disconnect) {
            this.live = false;
            logger.warn('bus disconnected, feed interrupted');
          } else if (status.type === Events.Reconnect) await this.revive();
        }
        await this.connection.closed();
      } catch (err) {
        if (!this.closed) logger.warn({ err }, 'cannot reach the bus');
      }
      this.live = false;
      this.connection = undefined;
      if (!this.closed) await this.deps.clock.sleep(retryDelayMs);
    }
  }

  /** The stream exists, and every reader begins anew; only then are changes published again. */
  private async revive(): Promise<void> {
    const { logger } = this.deps;
    for (;;) {
      const { connection } = this;
      if (this.closed || !connection || connection.isClosed()) return;
      try {
        await this.ensureStream(connection);
        this.outstandingBytes = 0;
        this.dirty.clear();
        // What was not published cannot be anyone's predecessor.
        this.partitions.clear();
        this.live = true;
        connection.publish(feedEpochSubject, new TextEncoder().encode(String(this.deps.clock.now())));
        await connection.flush();
        logger.info('feed is live');
        return;
      } catch (err) {
        this.live = false;
        logger.warn({ err }, 'cannot prepare the feed stream');
        await this.deps.clock.sleep(retryDelayMs);
      }
    }
  }

  private async ensureStream(connection: NatsConnection): Promise<void> {
    const manager = await connection.jetstreamManager({ timeout: requestTimeoutMs });
    const wanted = {
      subjects: ['feed.>'],
      max_age: nanos(maxAgeMs),
      max_bytes: maxStreamBytes,
      discard: DiscardPolicy.Old,
      duplicate_window: nanos(duplicateWindowMs),
    };
    try {
      await manager.streams.info(feedStream);
      await manager.streams.update(feedStream, wanted);
    } catch (error) {
      if (!isStreamMissing(error)) throw error;
      await manager.streams.add({
        name: feedStream,
        storage: StorageType.Memory,
        retention: RetentionPolicy.Limits,
        ...wanted,
      });
    }
  }

  private scheduleSweep(): void {
    this.cancelSweep = this.deps.clock.after(sweepIntervalMs, () => {
      this.sweep();
      if (!this.closed) this.scheduleSweep();
    });
  }

  /** Repeats the last version of partitions that have become quiet, so that a lost last change is noticed. */
  private sweep(): void {
    if (!this.live) return;
    const before = this.deps.clock.now() - bookmarkDelayMs;
    for (const place of this.dirty) {
      if (place.changedAtMs > before) continue;
      this.dirty.delete(place);
      this.send(feedSubject({ ...place, name: '_bookmark' }), 'BOOKMARK', place.revision, undefined, '', empty);
    }
  }
}

function isStreamMissing(error: unknown): boolean {
  const { code, api_error: api } = error as { code?: string; api_error?: { err_code?: number } };
  return code === '404' || api?.err_code === 10059;
}
