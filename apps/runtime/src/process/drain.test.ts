import { PassThrough } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import { OutputProgress } from './drain';

const never = new Promise<void>(() => undefined);

test('outputs that a child in the background holds open are left after their last piece, however slowly that is taken', async () => {
  const source = new PassThrough();
  const progress = new OutputProgress(1);
  let release: () => void = () => undefined;
  const taken: string[] = [];
  const take = async (): Promise<void> => {
    for await (const piece of progress.count(source)) {
      await new Promise<void>(resolve => (release = resolve));
      taken.push(piece.toString());
    }
  };
  void take();
  source.write('one');
  let isDrained = false;
  const drained = progress.drained(never).then(() => (isDrained = true));
  // Many silences pass.
  for (let i = 0; i < 20; i++) await setTimeout(2);
  expect([isDrained, taken]).toEqual([false, []]);
  release();
  await drained;
  expect(taken).toEqual(['one']);
});

test('outputs that are closed are not waited for', async () => {
  await new OutputProgress(1 << 30).drained(Promise.resolve());
});
