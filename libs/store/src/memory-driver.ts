import { ChangeLog, type ChangeLogLimits } from './change-log';
import type {
  Change,
  KeyValue,
  RangeOptions,
  RangeResult,
  StoreDriver,
  StoreUsage,
  Transaction,
  TransactionResult,
} from './driver';
import { Expiries } from './expiries';
import { forgotten } from './forgotten';

/** Keeps everything in memory: for tests only. It passes the same suite as the drivers that remember. */
export class MemoryDriver implements StoreDriver {
  readonly name = 'memory';
  revision = 0;
  private readonly entries = new Map<string, { value: Buffer; modRevision: number }>();
  private readonly log: ChangeLog;
  private readonly expiries = new Expiries((key, modRevision) =>
    this.txn({ compare: [{ key, modRevision }], operations: [{ type: 'delete', key }] }),
  );

  constructor(limits?: ChangeLogLimits) {
    this.log = new ChangeLog(0, limits);
  }

  get(key: string): Promise<KeyValue | undefined> {
    const entry = this.entries.get(key);
    return Promise.resolve(entry && { key, ...entry });
  }

  range(prefix: string, options: RangeOptions = {}): Promise<RangeResult> {
    const { from = '', limit = Infinity, revision = this.revision } = options;
    if (revision !== this.revision) return Promise.reject(forgotten(revision, this.revision));
    const keys = [...this.entries.keys()].filter(key => key.startsWith(prefix) && key >= from).sort();
    const items = keys.slice(0, limit).map(key => ({ key, ...this.entries.get(key)! }));
    return Promise.resolve({ revision: this.revision, items, more: keys.length > items.length });
  }

  txn({ compare, operations }: Transaction): Promise<TransactionResult> {
    const holds = compare.every(({ key, modRevision }) => (this.entries.get(key)?.modRevision ?? 0) === modRevision);
    if (!holds) return Promise.resolve({ committed: false, revision: this.revision });
    const revision = ++this.revision;
    const changes: Change[] = [];
    for (const operation of operations) {
      const { key } = operation;
      this.expiries.delete(key);
      if (operation.type === 'put') {
        const { value, ttlSeconds } = operation;
        this.entries.set(key, { value, modRevision: revision });
        if (ttlSeconds !== undefined) this.expiries.set(key, { atMs: Date.now() + ttlSeconds * 1000, revision });
        changes.push({ type: 'put', key, value, revision });
      } else if (this.entries.delete(key)) {
        changes.push({ type: 'delete', key, value: Buffer.alloc(0), revision });
      }
    }
    this.log.append(changes);
    return Promise.resolve({ committed: true, revision });
  }

  watch(...args: Parameters<ChangeLog['watch']>): () => void {
    return this.log.watch(...args);
  }

  compact(revision: number): Promise<void> {
    this.log.compact(revision);
    return Promise.resolve();
  }

  usage(): Promise<StoreUsage> {
    return Promise.resolve({ usedBytes: 0, limitBytes: Infinity });
  }

  close(): Promise<void> {
    this.expiries.close();
    this.log.close(new Error('the store is closed'));
    return Promise.resolve();
  }
}
