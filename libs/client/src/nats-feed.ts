import { readFileSync } from 'node:fs';
import {
  connect,
  consumerOpts,
  Events,
  type JetStreamSubscription,
  type JsMsg,
  type MsgHdrs,
  type NatsConnection,
} from 'nats';
import type { Logger } from '@naru/foundation';
import { closeBus } from './close-bus';
import {
  feedEpochSubject,
  feedHeaders,
  feedStream,
  type Feed,
  type FeedEventType,
  type FeedListener,
  type FeedMessage,
} from './feed';
import type { TlsFiles } from './grpc-objects-client';

const reconnectDelayMs = 250;
const maxRetryDelayMs = 2_000;

export interface NatsFeedOptions {
  /** `tls://HOST:PORT`, or `nats://...` without TLS (tests). */
  servers: string[];
  tls?: TlsFiles;
  /** Shown in the server's connection list. */
  name: string;
  logger: Logger;
}

interface Subscriber {
  filter: string;
  listener: FeedListener;
  signal: AbortSignal;
  current: JetStreamSubscription | undefined;
  /** Tells a subscription that was replaced meanwhile from the current one. */
  generation: number;
}

/**
 * The feed over NATS JetStream: an ordered consumer per filter. The memory stream dies with the NATS server, so after
 * each reconnect, and after each start of an api-server, every subscription is made anew and its reader lists again.
 */
export class NatsFeed implements Feed {
  private readonly subscribers = new Set<Subscriber>();
  private connection: NatsConnection | undefined;
  private closed = false;

  constructor(private readonly options: NatsFeedOptions) {
    void this.run();
  }

  subscribe(filter: string, listener: FeedListener, signal: AbortSignal): void {
    const subscriber: Subscriber = { filter, listener, signal, current: undefined, generation: 0 };
    this.subscribers.add(subscriber);
    signal.addEventListener('abort', () => {
      this.subscribers.delete(subscriber);
      subscriber.generation++;
      subscriber.current?.unsubscribe();
    });
    if (this.connection) void this.establish(subscriber);
    else listener.onLost();
  }

  async close(): Promise<void> {
    this.closed = true;
    await closeBus(this.connection);
  }

  /** Keeps a connection for as long as the feed lives. */
  private async run(): Promise<void> {
    const { servers, tls, name, logger } = this.options;
    while (!this.closed) {
      try {
        const connection = await connect({
          servers,
          name,
          maxReconnectAttempts: -1,
          reconnectTimeWait: reconnectDelayMs,
          timeout: 3_000,
          pingInterval: 5_000,
          maxPingOut: 2,
          ...(tls
            ? {
                tls: {
                  ca: readFileSync(tls.ca, 'utf8'),
                  cert: readFileSync(tls.certificate, 'utf8'),
                  key: readFileSync(tls.key, 'utf8'),
                },
              }
            : {}),
        });
        this.connection = connection;
        connection.subscribe(feedEpochSubject, { callback: () => this.establishAll() });
        this.establishAll();
        for await (const status of connection.status()) {
          if (status.type === Events.Disconnect) {
            logger.warn('feed lost');
            for (const { listener } of this.subscribers) listener.onLost();
          } else if (status.type === Events.Reconnect) {
            logger.info('feed is back');
            this.establishAll();
          }
        }
        await connection.closed();
      } catch (err) {
        logger.warn({ err, servers }, 'cannot reach the feed');
      }
      this.connection = undefined;
      if (!this.closed) await pause(reconnectDelayMs * 2);
    }
  }

  private establishAll(): void {
    for (const subscriber of this.subscribers) void this.establish(subscriber);
  }

  private async establish(subscriber: Subscriber): Promise<void> {
    const generation = ++subscriber.generation;
    subscriber.current?.unsubscribe();
    subscriber.current = undefined;
    for (let attempt = 0; generation === subscriber.generation && !this.closed; attempt++) {
      try {
        const subscription = await this.openConsumer(subscriber, generation);
        if (generation !== subscriber.generation) return subscription.unsubscribe();
        subscriber.current = subscription;
        subscriber.listener.onLive();
        return;
      } catch (err) {
        // The stream does not exist before the first api-server is up.
        if (attempt === 0) {
          this.options.logger.info({ reason: (err as Error).message, filter: subscriber.filter }, 'feed not ready');
          subscriber.listener.onLost();
        }
        await pause(Math.min(100 * 2 ** attempt, maxRetryDelayMs));
      }
    }
  }

  private async openConsumer(subscriber: Subscriber, generation: number): Promise<JetStreamSubscription> {
    if (!this.connection) throw new Error('not connected');
    const options = consumerOpts()
      .orderedConsumer()
      .deliverNew()
      .bindStream(feedStream)
      .callback((error, message) => {
        if (generation !== subscriber.generation) return;
        if (error || !message) return void this.establish(subscriber);
        const parsed = parseMessage(message);
        if (parsed) subscriber.listener.onMessage(parsed);
      });
    const subscription = await this.connection.jetstream({ timeout: 3_000 }).subscribe(subscriber.filter, options);
    await this.connection.flush();
    return subscription;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms));
}

function parseMessage(message: JsMsg): FeedMessage | undefined {
  const headers: MsgHdrs | undefined = message.headers;
  if (!headers) return undefined;
  const [, , , partition = '_', namespace = '_', ...name] = message.subject.split('.');
  const previous = headers.get(feedHeaders.previous);
  return {
    type: headers.get(feedHeaders.type) as FeedEventType,
    version: Number(headers.get(feedHeaders.version)),
    previous: previous === '' ? undefined : Number(previous),
    partition,
    namespace: readToken(namespace),
    name: readToken(name.join('.')),
    data: message.data,
  };
}

function readToken(token: string): string {
  return token === '_' ? '' : decodeURIComponent(token);
}
