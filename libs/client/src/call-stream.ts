import type * as grpc from '@grpc/grpc-js';
import { StatusError, type Status } from '@naru/foundation';
import type { objects } from '@naru/proto';

type Request = NonNullable<objects.Call['request']>;
type Stream = grpc.ClientDuplexStream<objects.CallBatch, objects.AnswerBatch>;

interface Running {
  resolve(object: Uint8Array): void;
  reject(error: Error): void;
  /** Nobody waits for the answer any more. */
  forget(): void;
}

const callTimeoutMs = 30_000;
/** More calls without an answer than any process makes that waits for answers. */
const maxRunning = 20_000;
/** Requests beyond this begin another message: far below what a message may be. */
const batchBytes = 1024 * 1024;

/**
 * The calls of this process on one stream, which is opened by the first one and again after it has broken. What is asked in one turn
 * of the event loop travels together.
 */
export class CallStream {
  private stream: Stream | undefined;
  private readonly running = new Map<number, Running>();
  private queued: objects.Call[] = [];
  private lastId = 0;
  private closed = false;

  constructor(
    private readonly open: () => Stream,
    private readonly toError: (error: grpc.ServiceError) => Error,
  ) {}

  /** Gives the object's JSON. @throws StatusError what the server answered, or that it did not. */
  call(request: Request, signal?: AbortSignal): Promise<Uint8Array> {
    if (this.closed || this.running.size >= maxRunning)
      return Promise.reject(
        this.closed
          ? new StatusError('ServiceUnavailable', 'the connection to the api-server is closed')
          : new StatusError('TooManyRequests', `${maxRunning} calls wait for the api-server`),
      );
    if (signal?.aborted) return Promise.reject(signal.reason as Error);
    return new Promise((resolve, reject) => {
      const id = this.nextId();
      const fail = (error: Error): void => {
        this.take(id);
        reject(error);
      };
      const timer = setTimeout(
        () => fail(new StatusError('Timeout', `the api-server did not answer within ${callTimeoutMs / 1000} s`)),
        callTimeoutMs,
      );
      const cancel = (): void => fail(signal?.reason as Error);
      signal?.addEventListener('abort', cancel, { once: true });
      const forget = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', cancel);
      };
      this.running.set(id, { resolve, reject, forget });
      if (this.queued.push({ id, timeoutMs: callTimeoutMs, request }) === 1) setImmediate(() => this.flush());
    });
  }

  /** What has been asked is still answered. */
  close(): void {
    this.closed = true;
    this.flush();
    this.stream?.end();
  }

  private nextId(): number {
    do this.lastId = (this.lastId + 1) >>> 0;
    while (this.running.has(this.lastId));
    return this.lastId;
  }

  private take(id: number): Running | undefined {
    const found = this.running.get(id);
    this.running.delete(id);
    found?.forget();
    return found;
  }

  private flush(): void {
    // Not what was given up while it waited here.
    const calls = this.queued.filter(({ id }) => this.running.has(id));
    this.queued = [];
    for (let from = 0; from < calls.length;) {
      let to = from;
      for (let size = 0; to < calls.length && (to === from || size < batchBytes); to++)
        size += sizeOf(calls[to]!.request!);
      this.stream ??= this.connect();
      this.stream.write({ calls: calls.slice(from, to) });
      from = to;
    }
  }

  private connect(): Stream {
    const stream = this.open();
    stream.on('data', ({ answers }: objects.AnswerBatch) => {
      for (const { id, result } of answers) this.answer(id, result);
    });
    stream.on('end', () =>
      this.drop(
        stream,
        new StatusError('ServiceUnavailable', 'the api-server did not answer: it has ended the stream'),
      ),
    );
    stream.on('error', (error: grpc.ServiceError) => this.drop(stream, this.toError(error)));
    return stream;
  }

  private answer(id: number, result: objects.Answer['result']): void {
    const call = this.take(id);
    if (result?.$case === 'object') call?.resolve(result.value);
    else if (result) call?.reject(StatusError.fromStatus(JSON.parse(Buffer.from(result.value).toString()) as Status));
    else call?.reject(new StatusError('InternalError', 'the api-server gave an answer that is not known here'));
  }

  private drop(stream: Stream, error: Error): void {
    if (this.stream !== stream) return;
    this.stream = undefined;
    const waiting = new Set(this.queued.map(({ id }) => id));
    // What has not been sent yet goes over the next stream.
    for (const id of [...this.running.keys()]) if (!waiting.has(id)) this.take(id)?.reject(error);
  }
}

function sizeOf({ value }: Request): number {
  if ('object' in value) return value.object.length;
  return 'patch' in value ? value.patch.length : 0;
}
