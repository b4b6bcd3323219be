import type { Clock } from './clock';
import { systemClock } from './clock';
import type { Logger } from './log';
import { runPeriodically } from './run-periodically';

test('work is repeated after its period, sooner while it fails, and a row of failures is told once', async () => {
  const abort = new AbortController();
  const waits: number[] = [];
  const told: string[] = [];
  const outcomes = ['ok', 'no', 'no', 'ok', 'no', 'ok'];
  const clock: Clock = { ...systemClock, sleep: async ms => void waits.push(ms) };
  const logger = { warn: (_data: object, message: string) => void told.push(message) } as unknown as Logger;
  const work = async (): Promise<void> => {
    const outcome = outcomes.shift();
    if (outcomes.length === 0) abort.abort();
    if (outcome === 'no') throw new Error('not now');
  };
  await runPeriodically({ clock, logger, work, periodMs: 10_000, failure: 'work failed' }, abort.signal);
  expect(waits).toEqual([10_000, 1_000, 1_000, 10_000, 1_000, 10_000]);
  expect(told).toEqual(['work failed', 'work failed']);
});
