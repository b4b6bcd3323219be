/**
 * What Naru asks of a store: etcd's model, cut down to what the api-server needs. One revision counter counts every
 * committed transaction, never goes back, and survives restarts. Values are opaque bytes; keys are ASCII and compare by
 * their bytes.
 */
export interface KeyValue {
  key: string;
  value: Buffer;
  /** The revision of the transaction that wrote this value. */
  modRevision: number;
}

export interface RangeOptions {
  /** Only keys from this one on. */
  from?: string;
  /** At most this many; absent: all. */
  limit?: number;
  /** As it was then; absent: the present. @throws StatusError Expired when that is not known, or not any more. */
  revision?: number;
}

export interface RangeResult {
  /** The store's revision that the items show. */
  revision: number;
  items: KeyValue[];
  /** More keys follow. */
  more: boolean;
}

/** Holds when the key was last written at `modRevision`; 0 means that the key does not exist. */
export interface Compare {
  key: string;
  modRevision: number;
}

export type Operation =
  | {
      type: 'put';
      key: string;
      value: Buffer;
      /** The key is deleted by itself after this long, or up to a minute and a half later, unless it is written again. */
      ttlSeconds?: number | undefined;
    }
  | { type: 'delete'; key: string };

export interface Transaction {
  compare: readonly Compare[];
  /** All take effect at one revision, or none does. Deleting an absent key does nothing. */
  operations: readonly Operation[];
}

export interface TransactionResult {
  /** False: a compare did not hold and nothing was written. */
  committed: boolean;
  /** The transaction's revision, or the store's current one when it was not committed. */
  revision: number;
}

export interface Change {
  type: 'put' | 'delete';
  key: string;
  /** Of a put, the very buffer that was given to `txn` when it came from this process; of a delete, empty. */
  value: Buffer;
  revision: number;
}

/** How much of its space a store has used; what is free inside its files counts as free. */
export interface StoreUsage {
  usedBytes: number;
  /** Writes that add something are refused beyond this; deletions are not. */
  limitBytes: number;
}

export interface WatchListener {
  /** Called in revision order, without holes; the changes of one transaction are never split over two calls. */
  onChanges(changes: readonly Change[]): void;
  /** The watch has ended by itself; list again and watch from there. */
  onError(error: Error): void;
}

export interface StoreDriver {
  readonly name: string;
  get(key: string): Promise<KeyValue | undefined>;
  /** Keys that begin with `prefix`, in order. */
  range(prefix: string, options?: RangeOptions): Promise<RangeResult>;
  /** Resolves when the result is durable, and after local watchers have seen it. Rejects when it is unknown or failed. */
  txn(transaction: Transaction): Promise<TransactionResult>;
  /**
   * Follows the changes after `revision` of keys that begin with `prefix`; the function returned stops it.
   * Throws a StatusError `Expired` when the log no longer reaches back that far.
   */
  watch(prefix: string, revision: number, listener: WatchListener): () => void;
  /** Forgets changes up to and including `revision`. */
  compact(revision: number): Promise<void>;
  /**
   * Resolves when local watchers have seen all that was committed anywhere before the call. Absent where nobody else
   * writes, for there they always have.
   */
  sync?(): Promise<void>;
  usage(): Promise<StoreUsage>;
  /** The newest committed revision that local watchers have seen. */
  readonly revision: number;
  close(): Promise<void>;
}
