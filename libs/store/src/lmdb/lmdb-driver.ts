import { mkdirSync, statSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import net from 'node:net';
import type { RootDatabase } from 'lmdb';
import { StatusError } from '@naru/foundation';
import { ChangeLog, type ChangeLogLimits } from '../change-log';
import type {
  Change,
  Compare,
  KeyValue,
  Operation,
  RangeOptions,
  RangeResult,
  StoreDriver,
  StoreUsage,
  Transaction,
  TransactionResult,
} from '../driver';
import { Expiries } from '../expiries';
import { forgotten } from '../forgotten';
import { storeFull } from '../store-full';

export interface LmdbOptions {
  /** Made when it does not exist. One process at a time may use it. */
  directory: string;
  log?: ChangeLogLimits;
  /** Transactions that may wait for the disk; more are refused with TooManyRequests. */
  maxWaiting?: number;
  /** The data may grow to this; etcd's default if absent. */
  limitBytes?: number;
}

/** These sort before every data key, which begin with "/". */
const revisionKey = '!revision';
const expiryPrefix = '!expiry/';
/** A commit that fails where there is less room than this fails for want of it. */
const fullDiskBytes = 1 << 20;
const defaultLimitBytes = 2 * 1024 ** 3;

interface TimedChange extends Change {
  expiresAtMs?: number;
}

interface Waiting {
  changes: TimedChange[];
  result: TransactionResult;
  resolve(result: TransactionResult): void;
  reject(error: unknown): void;
}

/**
 * LMDB, embedded. Compares are decided in memory the moment a transaction arrives, against what is committed and what
 * is on its way; then all that wait go to disk in one LMDB transaction with one fsync, while the next group gathers.
 */
export class LmdbDriver implements StoreDriver {
  readonly name = 'lmdb';
  /** Key → its modRevision (0: deleted) in transactions that are not on disk yet. */
  private readonly pending = new Map<string, number>();
  private waiting: Waiting[] = [];
  private writing: Promise<void> | undefined;
  /** The last revision given out; `revision` follows when it is durable. */
  private assigned: number;
  private readonly log: ChangeLog;
  private readonly expiries: Expiries;
  /** Of the data on disk; what waits comes on top. */
  private usedBytes: number;
  private waitingBytes = 0;
  private closed = false;

  private constructor(
    private readonly db: RootDatabase<Buffer, string>,
    private readonly lock: net.Server,
    public revision: number,
    private readonly options: LmdbOptions,
  ) {
    this.assigned = revision;
    this.log = new ChangeLog(revision, options.log);
    this.usedBytes = this.measure();
    this.expiries = new Expiries((key, modRevision) =>
      this.txn({ compare: [{ key, modRevision }], operations: [{ type: 'delete', key }] }),
    );
    for (const { key, value, version } of db.getRange({ start: expiryPrefix, end: '!expiry0', versions: true })) {
      const atMs = Number(value.readBigUInt64BE());
      this.expiries.set(key.slice(expiryPrefix.length), { atMs, revision: version ?? 0 });
    }
  }

  /** Throws when the directory cannot be used, or another process uses it. */
  static async open(options: LmdbOptions): Promise<LmdbDriver> {
    mkdirSync(options.directory, { recursive: true, mode: 0o700 });
    const lock = await lockDirectory(options.directory);
    try {
      const { open } = await import('lmdb');
      const db = open<Buffer, string>({
        path: options.directory,
        noSubdir: false,
        encoding: 'binary',
        useVersions: true,
        maxDbs: 1,
        // We batch ourselves; its own batches would reject a promise that nobody has when the disk is full.
        eventTurnBatching: false,
      });
      const stored = db.get(revisionKey);
      return new LmdbDriver(db, lock, stored ? Number(stored.readBigUInt64BE()) : 0, options);
    } catch (error) {
      lock.close();
      throw error;
    }
  }

  get(key: string): Promise<KeyValue | undefined> {
    const entry = this.db.getEntry(`/${key}`);
    return Promise.resolve(entry && { key, value: entry.value, modRevision: entry.version ?? 0 });
  }

  range(prefix: string, options: RangeOptions = {}): Promise<RangeResult> {
    const { from = '', limit = Infinity, revision = this.revision } = options;
    if (revision !== this.revision) return Promise.reject(forgotten(revision, this.revision));
    const items: KeyValue[] = [];
    const start = from > prefix ? from : prefix;
    // The revision is read with the first item, in the same event turn: nothing can be committed between them.
    this.db.resetReadTxn();
    for (const entry of this.db.getRange({ start: `/${start}`, versions: true })) {
      const key = entry.key.slice(1);
      if (!key.startsWith(prefix)) break;
      if (items.length >= limit) return Promise.resolve({ revision: this.revision, items, more: true });
      items.push({ key, value: Buffer.from(entry.value), modRevision: entry.version ?? 0 });
    }
    return Promise.resolve({ revision: this.revision, items, more: false });
  }

  async txn({ compare, operations }: Transaction): Promise<TransactionResult> {
    if (this.closed) throw new StatusError('ServiceUnavailable', 'the store is closed');
    if (this.waiting.length >= (this.options.maxWaiting ?? 10_000))
      throw new StatusError('TooManyRequests', 'too many writes wait for the disk', {
        details: { retryAfterSeconds: 1 },
      });
    if (!compare.every(condition => this.holds(condition))) {
      // What it lost against may not be durable yet; the caller's next read must see it.
      while (this.writing) await this.writing;
      return { committed: false, revision: this.revision };
    }
    this.takeSpace(operations);
    const revision = ++this.assigned;
    const changes = operations.flatMap(operation => this.toChange(operation, revision));
    return new Promise((resolve, reject) => {
      this.waiting.push({ changes, result: { committed: true, revision }, resolve, reject });
      this.writing ??= this.writeGroups();
    });
  }

  watch(...args: Parameters<ChangeLog['watch']>): () => void {
    return this.log.watch(...args);
  }

  compact(revision: number): Promise<void> {
    this.log.compact(revision);
    return Promise.resolve();
  }

  usage(): Promise<StoreUsage> {
    return Promise.resolve({ usedBytes: this.usedBytes, limitBytes: this.limitBytes });
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.expiries.close();
    while (this.writing) await this.writing;
    this.log.close(new Error('the store is closed'));
    await this.db.close();
    this.lock.close();
  }

  private get limitBytes(): number {
    return this.options.limitBytes ?? defaultLimitBytes;
  }

  private measure(): number {
    const stats = this.db.getStats() as Record<
      'pageSize' | `${'treeBranch' | 'treeLeaf'}PageCount` | 'overflowPages',
      number
    >;
    return (stats.treeBranchPageCount + stats.treeLeafPageCount + stats.overflowPages) * stats.pageSize;
  }

  private takeSpace(operations: readonly Operation[]): void {
    let bytes = 0;
    for (const operation of operations) if (operation.type === 'put') bytes += operation.value.length;
    if (bytes > 0 && this.usedBytes + this.waitingBytes + bytes > this.limitBytes) throw storeFull();
    this.waitingBytes += bytes;
  }

  private currentRevision(key: string): number {
    const pending = this.pending.get(key);
    if (pending !== undefined) return pending;
    return this.db.getEntry(`/${key}`)?.version ?? 0;
  }

  private holds({ key, modRevision }: Compare): boolean {
    const pending = this.pending.get(key);
    if (pending !== undefined) return pending === modRevision;
    // Unlike `getEntry` without a copy of the value.
    return this.db.doesExist(`/${key}`, modRevision === 0 ? (null as never) : modRevision);
  }

  private toChange(operation: Operation, revision: number): TimedChange[] {
    const { key } = operation;
    if (operation.type === 'delete') {
      if (this.currentRevision(key) === 0) return [];
      this.pending.set(key, 0);
      return [{ type: 'delete', key, value: Buffer.alloc(0), revision }];
    }
    this.pending.set(key, revision);
    const { value, ttlSeconds } = operation;
    const change = { type: 'put' as const, key, value, revision };
    return [ttlSeconds === undefined ? change : { ...change, expiresAtMs: Date.now() + ttlSeconds * 1000 }];
  }

  private async writeGroups(): Promise<void> {
    // Let the transactions of this event turn join the first group.
    await new Promise(resolve => setImmediate(resolve));
    while (this.waiting.length > 0) {
      const group = this.waiting;
      this.waiting = [];
      try {
        await this.write(group);
      } catch (error) {
        this.fail(group, error);
        continue;
      }
      this.finish(group);
    }
    this.writing = undefined;
  }

  private async write(group: Waiting[]): Promise<void> {
    const counter = uint64(group.at(-1)!.result.revision);
    const writes: Promise<unknown>[] = [];
    const done = this.db.batch(() => {
      for (const { changes } of group) {
        for (const { type, key, value, revision, expiresAtMs } of changes) {
          writes.push(type === 'put' ? this.db.put(`/${key}`, value, revision) : this.db.remove(`/${key}`));
          if (expiresAtMs !== undefined) writes.push(this.db.put(expiryPrefix + key, uint64(expiresAtMs), revision));
          else if (this.expiries.has(key)) writes.push(this.db.remove(expiryPrefix + key));
        }
      }
      writes.push(this.db.put(revisionKey, counter, 1));
    });
    try {
      await Promise.all([done, ...writes]);
      await this.db.flushed;
    } catch (error) {
      throw await this.whyNot(error);
    }
  }

  /** LMDB rejects every write of a commit that failed, and tells apart why; on a full disk no more than that it could not. */
  private async whyNot(error: unknown): Promise<unknown> {
    const { commitError } = error as { commitError?: Promise<never> };
    const cause: unknown = commitError ? await commitError.catch((why: unknown) => why) : error;
    const { bavail, bsize } = await statfs(this.options.directory);
    return bavail * bsize < fullDiskBytes ? new Error('no space left on device', { cause }) : cause;
  }

  private finish(group: Waiting[]): void {
    this.revision = group.at(-1)!.result.revision;
    const changes = group.flatMap(waiting => waiting.changes);
    this.usedBytes = this.measure();
    for (const { key, revision, type, value, expiresAtMs } of changes) {
      this.waitingBytes -= value.length;
      if (this.pending.get(key) === (type === 'put' ? revision : 0)) this.pending.delete(key);
      if (expiresAtMs !== undefined) this.expiries.set(key, { atMs: expiresAtMs, revision });
      else this.expiries.delete(key);
    }
    this.log.append(changes);
    for (const { resolve, result } of group) resolve(result);
  }

  /** Whatever came after the failed group was decided on top of it, so it fails too. */
  private fail(group: Waiting[], cause: unknown): void {
    const failed = [...group, ...this.waiting];
    this.waiting = [];
    this.pending.clear();
    this.waitingBytes = 0;
    this.assigned = this.revision;
    const error = new StatusError('InternalError', `the store cannot write: ${(cause as Error).message}`, { cause });
    for (const { reject } of failed) reject(error);
  }
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

/** An abstract socket named after the directory: the kernel frees it when the process dies, however it dies. */
async function lockDirectory(directory: string): Promise<net.Server> {
  const { dev, ino } = statSync(directory);
  const server = net.createServer(socket => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) =>
      reject(
        cause.code === 'EADDRINUSE'
          ? new Error(`the store in ${directory} is in use by another process`, { cause })
          : cause,
      ),
    );
    server.listen(`\0naru-store-${dev}-${ino}`, resolve);
  });
  server.unref();
  return server;
}
