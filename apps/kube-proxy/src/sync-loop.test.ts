import { silentLogger, type Clock } from '@naru/foundation';
import { SyncLoop } from './sync-loop';

/** Time that moves when told to. */
class ManualClock implements Clock {
  private time = 0;
  private timers: { at: number; callback: () => void }[] = [];

  now(): number {
    return this.time;
  }

  sleep(): Promise<void> {
    throw new Error('not used');
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.time + ms, callback };
    this.timers.push(timer);
    return () => void (this.timers = this.timers.filter(other => other !== timer));
  }

  async advance(ms: number): Promise<void> {
    const until = this.time + ms;
    for (;;) {
      const [next] = this.timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at);
      if (!next) break;
      this.time = Math.max(this.time, next.at);
      this.timers = this.timers.filter(timer => timer !== next);
      next.callback();
      await settle();
    }
    this.time = until;
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
}

function setUp(sync: (full: boolean) => Promise<void>): { loop: SyncLoop; clock: ManualClock } {
  const clock = new ManualClock();
  const loop = new SyncLoop({ name: 'test', sync, clock, logger: silentLogger, minPeriodMs: 20, fullPeriodMs: 10_000 });
  return { loop, clock };
}

test('the first sync is full and at once, later ones are not full and keep their distance', async () => {
  const syncs: [number, boolean][] = [];
  const { loop, clock } = setUp(async full => void syncs.push([clock.now(), full]));
  loop.trigger();
  await clock.advance(0);
  loop.trigger();
  loop.trigger();
  await clock.advance(100);
  loop.trigger();
  await clock.advance(0);
  expect(syncs).toEqual([
    [0, true],
    [20, false],
    [100, false],
  ]);
});

test('triggers while a sync runs become one more', async () => {
  let finish: () => void = () => undefined;
  let count = 0;
  const { loop, clock } = setUp(() => {
    count++;
    return new Promise(resolve => (finish = resolve));
  });
  loop.trigger();
  await clock.advance(0);
  loop.trigger();
  loop.trigger();
  await clock.advance(1000);
  expect(count).toBe(1);
  finish();
  await settle();
  await clock.advance(1000);
  expect(count).toBe(2);
});

test('a failed sync is tried again, full, after waits that grow', async () => {
  const syncs: [number, boolean][] = [];
  const { loop, clock } = setUp(async full => {
    syncs.push([clock.now(), full]);
    if (syncs.length <= 3) throw new Error('no');
  });
  loop.trigger();
  await clock.advance(5_000);
  expect(syncs).toEqual([
    [0, true],
    [100, true],
    [300, true],
    [700, true],
  ]);
});

test('a full sync comes round without any trigger, until the loop is stopped', async () => {
  const syncs: [number, boolean][] = [];
  const { loop, clock } = setUp(async full => void syncs.push([clock.now(), full]));
  loop.trigger();
  await clock.advance(25_000);
  await loop.stop();
  await clock.advance(100_000);
  expect(syncs).toEqual([
    [0, true],
    [10_000, true],
    [20_000, true],
  ]);
});
