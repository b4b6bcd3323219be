import { StatusError } from '@naru/foundation';
import { etcd } from '@naru/proto';
import { ChangeLog, type ChangeLogLimits } from '../change-log';
import type {
  Change,
  KeyValue,
  Operation,
  RangeOptions,
  RangeResult,
  StoreDriver,
  StoreUsage,
  Transaction,
  TransactionResult,
} from '../driver';
import { forgotten } from '../forgotten';
import { Compactor } from './compactor';
import { Endpoints, type EtcdTls } from './endpoints';
import { Follower, revisionOf } from './follower';
import { LeasePool } from './lease-pool';

export interface EtcdOptions {
  /** http://HOST:PORT or https://HOST:PORT of the members. */
  servers: readonly string[];
  tls?: EtcdTls;
  /** All keys are PREFIX/KEY. */
  prefix: string;
  log?: ChangeLogLimits;
  /** Transactions that may be on their way; more are refused with TooManyRequests. */
  maxWaiting?: number;
  /** History older than this is forgotten; 0: by others. */
  compactionIntervalMs?: number;
  /** What etcd was given as --quota-backend-bytes, which it does not tell; etcd's own default if absent. */
  limitBytes?: number;
}

/** How long a writer or reader waits until the changes of its revision have come. */
const maxLagMs = 10_000;
const defaultLimitBytes = 2 * 1024 ** 3;
const empty = Buffer.alloc(0);

interface Waiter {
  revision: number;
  resolve(): void;
  reject(error: Error): void;
}

/**
 * etcd v3, shared with other api-servers. Transactions are etcd's own, conditioned on mod_revision. One stream follows
 * all changes; whoever wrote, or asks for the present, waits until that stream has come so far.
 */
export class EtcdDriver implements StoreDriver {
  readonly name = 'etcd';
  private readonly log: ChangeLog;
  private readonly follower: Follower;
  private readonly leases: LeasePool;
  private readonly compactor: Compactor;
  private readonly waiters = new Set<Waiter>();
  private inFlight = 0;
  /** Values on their way, by full key: their writers know what they mean. */
  private readonly own = new Map<string, Buffer>();
  private syncing: Promise<void> | undefined;
  private nextSync: Promise<void> | undefined;
  private failure: Error | undefined;

  private constructor(
    private readonly endpoints: Endpoints,
    public revision: number,
    private readonly options: EtcdOptions,
  ) {
    this.log = new ChangeLog(revision, options.log);
    this.leases = new LeasePool(endpoints);
    this.follower = new Follower(
      {
        endpoints,
        onEvents: events => this.take(events),
        onCompacted: oldest => {
          this.fail(forgotten(this.revision, oldest));
        },
      },
      revision + 1,
    );
    this.follower.start();
    this.compactor = new Compactor(endpoints, {
      key: `${options.prefix}!compaction`,
      intervalMs: options.compactionIntervalMs ?? 0,
    });
  }

  /** Throws StatusError ServiceUnavailable when no member answers. */
  static async open(options: EtcdOptions): Promise<EtcdDriver> {
    const endpoints = new Endpoints(options.servers, options.tls ?? {});
    try {
      return new EtcdDriver(endpoints, await currentRevision(endpoints), options);
    } catch (error) {
      endpoints.close();
      throw error;
    }
  }

  async get(key: string): Promise<KeyValue | undefined> {
    const { kvs } = await this.rangeCall({ key: this.encode(key) });
    return kvs[0] && this.toKeyValue(kvs[0]);
  }

  async range(prefix: string, { from = '', limit = 0, revision = 0 }: RangeOptions = {}): Promise<RangeResult> {
    const start = from > prefix ? from : prefix;
    const end = this.encode(prefix === '' ? '' : prefix.slice(0, -1));
    const rangeEnd = Buffer.concat([
      end,
      Buffer.from([prefix === '' ? 0xff : prefix.charCodeAt(prefix.length - 1) + 1]),
    ]);
    const reply = await this.rangeCall({
      key: this.encode(start),
      rangeEnd,
      limit: BigInt(limit),
      revision: BigInt(revision),
    });
    return {
      revision: revision || Number(reply.header!.revision),
      items: reply.kvs.map(kv => this.toKeyValue(kv)),
      more: reply.more,
    };
  }

  async txn({ compare, operations }: Transaction): Promise<TransactionResult> {
    this.check();
    if (this.inFlight >= (this.options.maxWaiting ?? 10_000))
      throw new StatusError('TooManyRequests', 'too many writes wait for the store', {
        details: { retryAfterSeconds: 1 },
      });
    this.inFlight++;
    const puts = operations.flatMap(operation => (operation.type === 'put' ? [operation] : []));
    try {
      for (const { key, value } of puts) this.own.set(key, value);
      const request: etcd.TxnRequest = {
        compare: compare.map(({ key, modRevision }) => ({
          result: etcd.Compare_CompareResult.EQUAL,
          target: etcd.Compare_CompareTarget.MOD,
          key: this.encode(key),
          targetUnion: { $case: 'modRevision', value: BigInt(modRevision) },
        })),
        success: await Promise.all(operations.map(operation => this.toRequest(operation))),
      };
      const { header, succeeded } = await this.endpoints.call(({ kv }) => kv.txn.bind(kv), request);
      const revision = Number(header!.revision);
      await this.reached(revision);
      return { committed: succeeded, revision };
    } finally {
      this.inFlight--;
      for (const { key, value } of puts) if (this.own.get(key) === value) this.own.delete(key);
    }
  }

  watch(...args: Parameters<ChangeLog['watch']>): () => void {
    this.check();
    return this.log.watch(...args);
  }

  async compact(revision: number): Promise<void> {
    await this.compactor.compact(revision);
    this.log.compact(revision);
  }

  /** Those who ask while an answer is on its way share the next one: theirs may not have counted them. */
  sync(): Promise<void> {
    if (!this.syncing) {
      this.syncing = this.askAndFollow().finally(() => (this.syncing = undefined));
      return this.syncing;
    }
    this.nextSync ??= this.syncing
      .catch(() => undefined)
      .then(() => {
        this.nextSync = undefined;
        return this.sync();
      });
    return this.nextSync;
  }

  async usage(): Promise<StoreUsage> {
    const limitBytes = this.options.limitBytes ?? defaultLimitBytes;
    const status: etcd.StatusRequest = {};
    const members = await Promise.allSettled(
      this.endpoints.all.map(member =>
        this.endpoints.call(({ maintenance }) => maintenance.status.bind(maintenance), status, member),
      ),
    );
    const sizes = members.flatMap(result => (result.status === 'fulfilled' ? [Number(result.value.dbSize)] : []));
    if (sizes.length === 0) throw (members[0] as PromiseRejectedResult).reason;
    const request: etcd.AlarmRequest = {
      action: etcd.AlarmRequest_AlarmAction.GET,
      memberID: 0n,
      alarm: etcd.AlarmType.NOSPACE,
    };
    const { alarms } = await this.endpoints.call(({ maintenance }) => maintenance.alarm.bind(maintenance), request);
    const full = alarms.some(({ alarm }) => alarm === etcd.AlarmType.NOSPACE);
    return { usedBytes: full ? Math.max(limitBytes, ...sizes) : Math.max(...sizes), limitBytes };
  }

  close(): Promise<void> {
    this.follower.close();
    this.compactor.close();
    this.fail(new StatusError('ServiceUnavailable', 'the store is closed'));
    this.endpoints.close();
    return Promise.resolve();
  }

  private async askAndFollow(): Promise<void> {
    this.check();
    await this.reached(await currentRevision(this.endpoints));
  }

  private check(): void {
    if (this.failure) throw this.failure;
  }

  private fail(error: Error): void {
    this.failure ??= error;
    this.log.close(error);
    for (const waiter of this.waiters) waiter.reject(error);
    this.waiters.clear();
  }

  private reached(revision: number): Promise<void> {
    if (this.revision >= revision) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const settle = (then: () => void): void => {
        clearTimeout(timer);
        this.waiters.delete(waiter);
        then();
      };
      const waiter: Waiter = { revision, resolve: () => settle(resolve), reject: error => settle(() => reject(error)) };
      const late = (): void =>
        waiter.reject(new StatusError('Timeout', `the changes up to ${revision} did not come from the store in time`));
      const timer = setTimeout(late, maxLagMs);
      this.waiters.add(waiter);
    });
  }

  private take(events: readonly etcd.Event[]): void {
    const changes: Change[] = [];
    for (const event of events) {
      const key = this.decode(event.kv!.key);
      if (key === undefined) continue;
      const revision = revisionOf(event);
      if (event.type === etcd.Event_EventType.DELETE) changes.push({ type: 'delete', key, value: empty, revision });
      else changes.push({ type: 'put', key, value: this.ownValue(key, event.kv!.value), revision });
    }
    this.revision = revisionOf(events.at(-1)!);
    this.log.append(changes);
    for (const waiter of this.waiters) if (waiter.revision <= this.revision) waiter.resolve();
  }

  private ownValue(key: string, value: Buffer): Buffer {
    const own = this.own.get(key);
    return own?.equals(value) ? own : value;
  }

  private async toRequest(operation: Operation): Promise<etcd.RequestOp> {
    const key = this.encode(operation.key);
    if (operation.type === 'delete') return { request: { $case: 'requestDeleteRange', value: { key } } };
    const { value, ttlSeconds } = operation;
    const lease = ttlSeconds === undefined ? 0n : await this.leases.lease(ttlSeconds);
    return { request: { $case: 'requestPut', value: { key, value, lease } } };
  }

  private rangeCall(request: Partial<etcd.RangeRequest>): Promise<etcd.RangeResponse> {
    return this.endpoints.call(({ kv }) => kv.range.bind(kv), etcd.RangeRequest.fromPartial(request));
  }

  private toKeyValue({ key, value, modRevision }: etcd.KeyValue): KeyValue {
    return { key: this.decode(key)!, value, modRevision: Number(modRevision) };
  }

  private encode(key: string): Buffer {
    return Buffer.from(`${this.options.prefix}/${key}`);
  }

  /** Undefined for what is not ours. */
  private decode(bytes: Buffer): string | undefined {
    const { prefix } = this.options;
    const key = bytes.toString();
    return key.startsWith(`${prefix}/`) ? key.slice(prefix.length + 1) : undefined;
  }
}

/** As a majority of the members knows it. */
async function currentRevision(endpoints: Endpoints): Promise<number> {
  const request = etcd.RangeRequest.fromPartial({ key: Buffer.from([0]), countOnly: true });
  const { header } = await endpoints.call(({ kv }) => kv.range.bind(kv), request);
  return Number(header!.revision);
}
