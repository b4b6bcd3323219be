import { StatusError } from '@naru/foundation';
import { SimulatedClock } from '@naru/testing';
import { ExtensionCalls } from './extension-calls';

const silence = new StatusError('Timeout', 'the api-server did not answer in 10000 ms');

/** A server that answers when it is told to. */
class Server {
  readonly asked: { answer(): void; hang(): void; refuse(): void }[] = [];

  readonly call = (): Promise<string> =>
    new Promise((resolve, reject) => {
      this.asked.push({
        answer: () => resolve('answer'),
        hang: () => reject(silence),
        refuse: () => reject(new StatusError('NotFound', 'not found')),
      });
    });
}

function setUp() {
  const clock = new SimulatedClock();
  const calls = new ExtensionCalls(clock);
  const server = new Server();
  const ask = (path = '/apis/slow.example.com/v1/namespaces/a/things') => calls.run(path, server.call);
  return { clock, ask, asked: server.asked };
}

/** All that can go on without an answer has gone on. */
const settled = () => new Promise(resolve => setImmediate(resolve));

test('a server that did not answer in time is left alone, and then asked by one caller at a time', async () => {
  const { clock, ask, asked } = setUp();
  const many = Promise.allSettled(Array.from({ length: 20 }, () => ask()));
  await settled();
  expect(asked).toHaveLength(4);
  for (const { hang } of asked) hang();
  // Those who waited fail as those who asked, without asking.
  for (const outcome of await many) expect(outcome).toEqual({ status: 'rejected', reason: silence });
  await expect(ask('/apis/slow.example.com/v1')).rejects.toBe(silence);
  expect(asked).toHaveLength(4);

  clock.after(10_000, () => undefined);
  await clock.step(clock.now() + 10_000);
  const probe = ask();
  await expect(ask()).rejects.toBe(silence);
  expect(asked).toHaveLength(5);
  asked[4]!.answer();
  expect(await probe).toBe('answer');
  const both = Promise.all([ask(), ask()]);
  await settled();
  for (const { answer } of asked.slice(5)) answer();
  expect(await both).toEqual(['answer', 'answer']);
});

test('other servers, and what a server refuses, keep nobody from asking', async () => {
  const { ask, asked } = setUp();
  const slow = ask();
  await settled();
  asked[0]!.hang();
  await expect(slow).rejects.toBe(silence);
  for (const path of ['/apis/slow.example.com/v2/things', '/apis/other.example.com/v1/things']) {
    const refused = ask(path);
    await settled();
    asked.at(-1)!.refuse();
    await expect(refused).rejects.toMatchObject({ reason: 'NotFound' });
    const answered = ask(path);
    await settled();
    asked.at(-1)!.answer();
    expect(await answered).toBe('answer');
  }
});

test('no more than four calls to a server wait at a time, and all come to their turn', async () => {
  const { ask, asked } = setUp();
  const all = Promise.all(Array.from({ length: 10 }, () => ask()));
  for (let answered = 0; answered < 10; answered++) {
    await settled();
    expect(asked.length).toBe(Math.min(10, answered + 4));
    asked[answered]!.answer();
  }
  expect(await all).toHaveLength(10);
});
