import { EventEmitter } from 'node:events';
import type * as grpc from '@grpc/grpc-js';
import { StatusError } from '@naru/foundation';
import type { objects } from '@naru/proto';
import { CallStream } from './call-stream';

/** The far end of a stream, as the test plays it. */
class FarEnd extends EventEmitter {
  readonly batches: objects.Call[][] = [];
  ended = false;

  write({ calls }: objects.CallBatch): void {
    this.batches.push(calls);
  }

  end(): void {
    this.ended = true;
  }

  answer(id: number, result: objects.Answer['result']): void {
    this.emit('data', { answers: [{ id, result }] });
  }
}

function setUp() {
  const ends: FarEnd[] = [];
  const open = () => {
    const end = new FarEnd();
    ends.push(end);
    return end as unknown as ReturnType<ConstructorParameters<typeof CallStream>[0]>;
  };
  const toError = (error: grpc.ServiceError) => new StatusError('ServiceUnavailable', error.message);
  const calls = new CallStream(open, toError);
  const get = (name: string, signal?: AbortSignal) =>
    calls.call({ $case: 'get', value: { target: undefined, resourceVersion: name } }, signal).then(String);
  return { ends, calls, get };
}

const turn = () => new Promise(resolve => setImmediate(resolve));
const object = (text: string) => ({ $case: 'object' as const, value: Buffer.from(text) });

test('what is asked in one turn travels together; answers come in any order', async () => {
  const { ends, calls, get } = setUp();
  const answers = Promise.all([get('a'), get('b')]);
  await turn();
  const [first, second] = ends[0]!.batches[0]!;
  expect(ends[0]!.batches).toHaveLength(1);
  ends[0]!.answer(second!.id, object('B'));
  ends[0]!.answer(first!.id, object('A'));
  expect(await answers).toEqual(['A', 'B']);
  calls.close();
  expect(ends[0]!.ended).toBe(true);
});

test('a stream that breaks fails what it carried and nothing else; the next call opens another one', async () => {
  const { ends, calls, get } = setUp();
  const lost = get('lost');
  await turn();
  const waiting = get('waiting');
  ends[0]!.emit('error', new Error('connection reset'));
  await expect(lost).rejects.toMatchObject({ reason: 'ServiceUnavailable', message: 'connection reset' });
  await turn();
  expect(ends).toHaveLength(2);
  const [[call]] = ends[1]!.batches as [[objects.Call]];
  ends[1]!.answer(call.id, object('W'));
  // What the broken one says late changes nothing.
  ends[0]!.emit('end');
  expect(await waiting).toBe('W');
  calls.close();
});

test('a failed call is the Status that the server gave; one that is given up is not sent', async () => {
  const { ends, calls, get } = setUp();
  const controller = new AbortController();
  const [failed, givenUp] = [get('failed'), get('given up', controller.signal)];
  controller.abort(new Error('no longer needed'));
  await expect(givenUp).rejects.toThrow('no longer needed');
  await turn();
  expect(ends[0]!.batches[0]).toHaveLength(1);
  const status = new StatusError('NotFound', 'pods "x" not found').toStatus();
  ends[0]!.answer(ends[0]!.batches[0]![0]!.id, { $case: 'status', value: Buffer.from(JSON.stringify(status)) });
  await expect(failed).rejects.toMatchObject({ reason: 'NotFound', message: 'pods "x" not found', code: 404 });
  calls.close();
});
