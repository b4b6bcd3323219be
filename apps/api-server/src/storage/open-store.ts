import { readFile } from 'node:fs/promises';
import { UsageError, type FlagSpec, type Flags } from '@naru/foundation';
import { EtcdDriver, LmdbDriver, type StoreDriver } from '@naru/store';

/** Which store, and how it is reached; upstream's names where upstream has them. */
export const storeFlags = {
  'storage-backend': {
    description: 'lmdb (a folder of this machine) or etcd; empty: etcd if --etcd-servers is given, else lmdb',
    type: 'string',
    default: '',
  },
  'data-dir': { description: 'folder of the store lmdb', type: 'string', default: '' },
  'etcd-servers': { description: 'http(s)://HOST:PORT of the etcd members', type: 'list', default: [] },
  'etcd-prefix': { description: 'what all keys in etcd begin with', type: 'string', default: '/naru' },
  'etcd-cafile': { description: 'PEM file of the CA of the etcd members', type: 'string', default: '' },
  'etcd-certfile': { description: 'PEM file of the certificate that etcd is shown', type: 'string', default: '' },
  'etcd-keyfile': { description: 'PEM file of its key', type: 'string', default: '' },
  'etcd-compaction-interval-seconds': {
    description: 'how much history etcd keeps, at least; 0: whatever others make it forget',
    type: 'number',
    default: 300,
  },
  'quota-backend-bytes': {
    description: 'how large the store may grow; for etcd, what its members were given as their --quota-backend-bytes',
    type: 'number',
    default: 2 * 1024 ** 3,
  },
} as const satisfies Record<string, FlagSpec>;

/** Watchers read from the watch caches: only these themselves start from a revision of the store. */
const log = { changes: 512, bytes: 4 * 1024 * 1024 };

export async function openStore(flags: Flags<typeof storeFlags>): Promise<StoreDriver> {
  const servers = flags['etcd-servers'];
  const limitBytes = flags['quota-backend-bytes'];
  const backend = flags['storage-backend'] || (servers.length > 0 ? 'etcd' : 'lmdb');
  if (backend === 'lmdb') {
    if (flags['data-dir'] === '') throw new UsageError('flag --data-dir is required: folder of the store');
    return LmdbDriver.open({ directory: flags['data-dir'], log, limitBytes });
  }
  if (backend !== 'etcd' && backend !== 'etcd3')
    throw new UsageError(`flag --storage-backend: "${backend}" is neither lmdb nor etcd`);
  if (servers.length === 0) throw new UsageError('flag --etcd-servers is required: http(s)://HOST:PORT,...');
  const read = async (file: string): Promise<string | undefined> => (file === '' ? undefined : readFile(file, 'utf8'));
  return EtcdDriver.open({
    servers,
    tls: {
      ca: await read(flags['etcd-cafile']),
      certificate: await read(flags['etcd-certfile']),
      key: await read(flags['etcd-keyfile']),
    },
    prefix: flags['etcd-prefix'],
    log,
    limitBytes,
    compactionIntervalMs: flags['etcd-compaction-interval-seconds'] * 1000,
  });
}
