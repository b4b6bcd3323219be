import { once } from 'node:events';
import type { handleServerStreamingCall, handleUnaryCall, ServiceError } from '@grpc/grpc-js';
import { Metadata, status } from '@grpc/grpc-js';
import { StatusError, reasons, type Logger } from '@naru/foundation';
import { ExecTimeoutError } from '../containers/exec';

/** A failure as gRPC states it; what is no StatusError is UNKNOWN, as with other CRI runtimes. */
export function toServiceError(error: unknown): ServiceError {
  const message = error instanceof Error ? error.message : String(error);
  let code: number = status.UNKNOWN;
  if (error instanceof StatusError)
    code =
      error.code === 409 && error.reason === 'BadRequest' ? status.FAILED_PRECONDITION : reasons[error.reason].grpc;
  else if (error instanceof ExecTimeoutError) code = status.DEADLINE_EXCEEDED;
  else if ((error as Error | undefined)?.name === 'AbortError') code = status.CANCELLED;
  return Object.assign(new Error(message), { code, details: message, metadata: new Metadata() });
}

/** What a method gets beside its request. */
export interface CallContext {
  /** Aborted when the caller gives up. */
  signal: AbortSignal;
}

/** Turns functions into gRPC handlers: errors mapped and logged once, slow calls measured. */
export function handlers(logger: Logger): {
  unary: <Q, A>(name: string, call: (request: Q, context: CallContext) => Promise<A> | A) => handleUnaryCall<Q, A>;
  stream: <Q, A>(
    name: string,
    call: (request: Q, context: CallContext) => AsyncIterable<A>,
  ) => handleServerStreamingCall<Q, A>;
} {
  return {
    unary: (name, call) => (grpcCall, callback) => {
      const started = process.hrtime.bigint();
      const controller = new AbortController();
      grpcCall.on('cancelled', () => controller.abort());
      const run = async (): Promise<void> => {
        try {
          const answer = await call(grpcCall.request, { signal: controller.signal });
          callback(null, answer);
        } catch (err) {
          const error = toServiceError(err);
          // "Not found" is an everyday answer.
          logger[error.code === status.NOT_FOUND ? 'debug' : 'warn'](
            { err, call: name, code: error.code },
            'call failed',
          );
          callback(error);
        }
        const durationMs = Number(process.hrtime.bigint() - started) / 1e6;
        logger.debug({ call: name, durationMs }, 'call');
      };
      void run();
    },
    stream: (name, call) => grpcCall => {
      const controller = new AbortController();
      grpcCall.on('cancelled', () => controller.abort());
      const run = async (): Promise<void> => {
        try {
          for await (const item of call(grpcCall.request, { signal: controller.signal })) {
            if (controller.signal.aborted) return;
            // A caller who gives up ends the wait too.
            if (!grpcCall.write(item)) await once(grpcCall, 'drain', { signal: controller.signal });
          }
          grpcCall.end();
        } catch (err) {
          if (controller.signal.aborted) return;
          logger.warn({ err, call: name }, 'stream failed');
          grpcCall.emit('error', toServiceError(err));
        }
      };
      void run();
    },
  };
}
