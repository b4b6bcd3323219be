import { Metadata, type CallOptions, type ServiceError } from '@grpc/grpc-js';

type Callback<A> = (error: ServiceError | null, answer: A) => void;
type Call<Q, A> = (request: Q, metadata: Metadata, options: Partial<CallOptions>, callback: Callback<A>) => unknown;

const noMetadata = new Metadata();

/** One call of a grpc-js client as a promise with a deadline; a failure is grpc's own ServiceError. */
export function unary<Q, A>(client: unknown, call: unknown, request: Q, timeoutMs: number): Promise<A> {
  return new Promise((resolve, reject) => {
    (call as Call<Q, A>).call(client, request, noMetadata, { deadline: Date.now() + timeoutMs }, (error, answer) => {
      if (error) reject(error);
      else resolve(answer);
    });
  });
}
