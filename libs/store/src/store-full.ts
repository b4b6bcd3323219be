import { StatusError } from '@naru/foundation';

/** The refusal of a write for lack of space: etcd's words, which Kubernetes' users know, and what to do. */
export function storeFull(cause?: unknown): StatusError {
  return new StatusError(
    'InternalError',
    'etcdserver: mvcc: database space exceeded: the store is full; delete objects, or give it a higher limit',
    { code: 507, cause },
  );
}
