import { status, type handleUnaryCall } from '@grpc/grpc-js';

/** A failure with the code that the specification asks for. */
export class CsiFailure extends Error {
  constructor(
    readonly code: status,
    message: string,
  ) {
    super(message);
  }
}

/** A call that is answered by an asynchronous function. */
export function answer<Q, A>(work: (request: Q) => Promise<A> | A): handleUnaryCall<Q, A> {
  return (call, callback) => {
    Promise.resolve(call.request)
      .then(work)
      .then(
        result => callback(null, result),
        (error: Error) =>
          callback({ code: error instanceof CsiFailure ? error.code : status.INTERNAL, details: error.message }),
      );
  };
}

export function required(value: string, what: string): string {
  if (value === '') throw new CsiFailure(status.INVALID_ARGUMENT, `${what} is missing`);
  return value;
}
