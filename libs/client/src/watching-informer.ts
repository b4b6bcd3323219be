import type { KubeObject, Stored } from '@naru/api';
import { isReason, systemClock, type Clock, type Logger } from '@naru/foundation';
import { objectKey } from './indexed-cache';
import type { Informer, InformerHandler, InformerOptions, Lister } from './informer-types';
import { ObjectReplica } from './object-replica';
import type { ObjectsClient } from './objects-client';
import type { WatchEvent, Watcher } from './watcher';

/** Watches end after between one and two times this, so that a thousand readers do not come back at once. */
const minWatchSeconds = 300;
const minRetryDelayMs = 100;
const maxRetryDelayMs = 10_000;

export interface WatchingInformerDeps {
  client: ObjectsClient;
  watcher: Watcher;
  logger: Logger;
  clock?: Clock;
}

/**
 * Keeps a local copy of a resource as client-go does: lists, watches from there, goes on watching after each break, and
 * lists again when the server no longer knows what came after the last thing heard.
 */
export class WatchingInformer<T extends KubeObject> implements Informer<T> {
  private readonly replica: ObjectReplica<T>;
  private readonly clock: Clock;
  private signal: AbortSignal = AbortSignal.abort();
  private version = '';
  private failures = 0;

  constructor(
    private readonly options: InformerOptions<T>,
    private readonly deps: WatchingInformerDeps,
  ) {
    this.replica = new ObjectReplica(options, deps.logger);
    this.clock = deps.clock ?? systemClock;
  }

  get lister(): Lister<T> {
    return this.replica.cache;
  }

  get hasSynced(): boolean {
    return this.replica.hasSynced;
  }

  addHandler(handler: InformerHandler<T>): void {
    this.replica.addHandler(handler);
  }

  observe(written: Stored<T>): void {
    if (!this.signal.aborted) this.replica.observe(written);
  }

  start(signal: AbortSignal): Promise<void> {
    if (this.signal.aborted) {
      this.signal = signal;
      void this.run();
    }
    return this.replica.synced;
  }

  private async run(): Promise<void> {
    while (!this.signal.aborted) {
      try {
        if (this.version === '') await this.list();
        else await this.follow();
      } catch (err) {
        if (this.signal.aborted) return;
        await this.recover(err);
      }
    }
  }

  private async list(): Promise<void> {
    const { type, namespace, fieldSelector } = this.options;
    const selection = { ...(namespace ? { namespace } : {}), ...(fieldSelector ? { fieldSelector } : {}) };
    const list = await this.deps.client.list(type, selection, this.signal);
    this.replica.replace(list);
    this.version = list.metadata.resourceVersion ?? '';
    this.failures = 0;
  }

  /** One watch, until the server ends it. */
  private async follow(): Promise<void> {
    const { type, namespace, fieldSelector } = this.options;
    const timeoutSeconds = Math.ceil(minWatchSeconds * (1 + Math.random()));
    const before = this.version;
    const options = { namespace, fieldSelector, resourceVersion: before, timeoutSeconds };
    await this.deps.watcher.watch(type, options, event => this.accept(event), this.signal);
    // A server that ends watches before they have said anything is not to be asked in a tight loop.
    if (this.version === before) await this.pause();
  }

  private accept({ type, object }: WatchEvent<T>): void {
    if (this.signal.aborted) return;
    const { resourceVersion } = object.metadata;
    this.failures = 0;
    if (type === 'DELETED') this.replica.remove(objectKey(object), Number(resourceVersion), object);
    else if (type !== 'BOOKMARK') this.replica.upsert(object);
    this.version = resourceVersion;
  }

  private async recover(err: unknown): Promise<void> {
    const { logger } = this.deps;
    // The server does not know, or does not know yet, what came after this version: begin anew.
    if (isReason(err, 'Expired', 'Gone', 'Timeout')) this.version = '';
    if (this.failures === 0) logger.info({ err, resource: this.options.type.resource }, 'watch interrupted');
    // What has been told was all there was: nothing to wait for.
    if (this.failures++ > 0 || !isReason(err, 'Expired', 'Gone')) await this.pause();
  }

  private async pause(): Promise<void> {
    const delayMs = Math.min(minRetryDelayMs * 2 ** this.failures, maxRetryDelayMs) * (0.75 + Math.random() / 2);
    await this.clock.sleep(delayMs, this.signal).catch(() => undefined);
  }
}
