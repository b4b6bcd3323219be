import * as grpc from '@grpc/grpc-js';
import { StatusError, type Reason } from '@naru/foundation';
import { storeFull } from '../store-full';

const reasons: Partial<Record<grpc.status, Reason>> = {
  [grpc.status.UNAVAILABLE]: 'ServiceUnavailable',
  [grpc.status.CANCELLED]: 'ServiceUnavailable',
  [grpc.status.DEADLINE_EXCEEDED]: 'Timeout',
  [grpc.status.RESOURCE_EXHAUSTED]: 'TooManyRequests',
  [grpc.status.OUT_OF_RANGE]: 'Expired',
};

/** What an error of etcd is to a client of the API. Of a write that failed so, nobody knows whether it took effect. */
export function toStatusError(error: grpc.ServiceError): StatusError {
  // Codes alone do not tell these apart; the texts are part of etcd's protocol.
  if (error.details.includes('database space exceeded')) return storeFull(error);
  if (error.details.includes('request is too large'))
    return new StatusError('RequestEntityTooLarge', error.details, { cause: error });
  const reason = reasons[error.code] ?? 'InternalError';
  const details = reason === 'TooManyRequests' ? { details: { retryAfterSeconds: 1 } } : {};
  return new StatusError(reason, `the store did not answer: ${error.details}`, { cause: error, ...details });
}
