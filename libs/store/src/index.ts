export type {
  Change,
  Compare,
  KeyValue,
  Operation,
  RangeOptions,
  RangeResult,
  StoreDriver,
  Transaction,
  TransactionResult,
  WatchListener,
} from './driver';
export { LmdbDriver, type LmdbOptions } from './lmdb/lmdb-driver';
export { MemoryDriver } from './memory-driver';
