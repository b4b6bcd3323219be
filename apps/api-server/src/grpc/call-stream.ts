import type * as grpc from '@grpc/grpc-js';
import type { Status } from '@naru/foundation';
import type { objects } from '@naru/proto';

export type CallRequest = NonNullable<objects.Call['request']>;
export type Stream = grpc.ServerDuplexStream<objects.CallBatch, objects.AnswerBatch>;

export interface CallStreamDeps {
  stream: Stream;
  /** Gives the object's JSON. */
  handle(request: CallRequest, timeoutMs: number): Promise<Buffer>;
  toStatus(error: unknown): Status;
}

/** So many calls of one client run at the same time; the others wait unread. */
const maxRunning = 1000;
/** Answers beyond this begin another message: far below what a message may be. */
const batchBytes = 1024 * 1024;

/** The calls of one client: each is answered when it is done, all that are done in one turn of the event loop together. */
export class CallStream {
  private running = 0;
  private answers: objects.Answer[] = [];
  private flushing = false;
  private ending = false;

  constructor(private readonly deps: CallStreamDeps) {
    const { stream } = deps;
    stream.on('data', ({ calls }: objects.CallBatch) => {
      for (const call of calls) void this.run(call);
      if (this.running >= maxRunning) stream.pause();
    });
    // The client asks no more, but waits for what it has asked.
    stream.on('end', () => this.finish());
    stream.on('error', () => undefined);
  }

  /** Takes no more calls, and ends the stream when all that were taken are answered. */
  finish(): void {
    this.ending = true;
    // A client that goes on asking would keep it open until it is cut, with calls on their way.
    this.deps.stream.pause();
    if (this.running === 0) this.flush();
  }

  private async run({ id, timeoutMs, request }: objects.Call): Promise<void> {
    this.running++;
    try {
      if (!request) throw new Error('the call asks for nothing that is known here');
      this.answer(id, { $case: 'object', value: await this.deps.handle(request, timeoutMs) });
    } catch (error) {
      this.answer(id, { $case: 'status', value: Buffer.from(JSON.stringify(this.deps.toStatus(error))) });
    }
  }

  private answer(id: number, result: objects.Answer['result']): void {
    this.running--;
    this.answers.push({ id, result });
    if (this.flushing) return;
    this.flushing = true;
    setImmediate(() => this.flush());
  }

  private flush(): void {
    this.flushing = false;
    const { stream } = this.deps;
    const answers = this.answers;
    this.answers = [];
    if (stream.cancelled || stream.destroyed) return;
    for (let from = 0; from < answers.length;) {
      let to = from;
      for (let size = 0; to < answers.length && (to === from || size < batchBytes); to++)
        size += answers[to]!.result?.value.length ?? 0;
      stream.write({ answers: answers.slice(from, to) });
      from = to;
    }
    if (this.ending && this.running === 0) stream.end();
    else if (!this.ending && this.running < maxRunning && stream.isPaused()) stream.resume();
  }
}
