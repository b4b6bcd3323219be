import { Metadata, type CallOptions, type Client } from '@grpc/grpc-js';

type Method<Q, A> = (
  request: Q,
  metadata: Metadata,
  options: Partial<CallOptions>,
  callback: (error: Error | null, answer: A) => void,
) => unknown;

/** Calls a unary method of a generated client. */
export function call<Q, A>(client: Client, method: Method<Q, A>, request: Q): Promise<A> {
  return new Promise((resolve, reject) => {
    method.call(client, request, new Metadata(), {}, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
}
