import { Duplex } from 'node:stream';
import { StatusError } from '@naru/foundation';
import type { objects } from '@naru/proto';
import { eventually } from '@naru/testing';
import { CallStream, type Stream } from './call-stream';

test('a stream that finishes takes no more calls, answers those that it has, and ends', async () => {
  const written: objects.AnswerBatch[] = [];
  const stream = new Duplex({
    objectMode: true,
    read: () => undefined,
    write: (batch: objects.AnswerBatch, _, done) => done(void written.push(batch)),
  });
  const pending: ((answer: Buffer) => void)[] = [];
  const calls = new CallStream({
    stream: stream as unknown as Stream,
    handle: () => new Promise(resolve => pending.push(resolve)),
    toStatus: error => new StatusError('InternalError', String(error)).toStatus(),
  });
  const ask = (...ids: number[]) =>
    stream.push({ calls: ids.map(id => ({ id, timeoutMs: 60_000, request: { $case: 'get', value: {} } })) });
  ask(1, 2);
  await eventually(() => expect(pending.length).toBe(2));
  calls.finish();
  ask(3);
  pending[0]?.(Buffer.from('one'));
  await eventually(() => expect(written.length).toBe(1));
  expect(stream.writableEnded).toBe(false);
  pending[1]?.(Buffer.from('two'));
  await eventually(() => expect(stream.writableFinished).toBe(true));
  expect(written.flatMap(({ answers }) => answers.map(({ id }) => id))).toEqual([1, 2]);
  expect(pending.length).toBe(2);
});
