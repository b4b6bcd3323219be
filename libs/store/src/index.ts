export type {
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
  WatchListener,
} from './driver';
export { EtcdDriver, type EtcdOptions } from './etcd/etcd-driver';
export type { EtcdTls } from './etcd/endpoints';
export { LmdbDriver, type LmdbOptions } from './lmdb/lmdb-driver';
export { MemoryDriver } from './memory-driver';
