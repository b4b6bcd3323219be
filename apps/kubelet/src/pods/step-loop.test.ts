import { SimulatedClock } from '@naru/testing';
import { StepLoop, type StepResult } from './step-loop';

/** A loop whose steps end as the test says: each entry is a result, or what is thrown. */
function scripted(outcomes: (StepResult | Error)[]) {
  const clock = new SimulatedClock();
  const startedAt = clock.now();
  const stepsAtMs: number[] = [];
  const news: boolean[] = [];
  const retriesMs: number[] = [];
  let duringStep = (): void => undefined;
  const loop: StepLoop = new StepLoop({
    clock,
    step: async isNews => {
      news.push(isNews);
      stepsAtMs.push(clock.now() - startedAt);
      duringStep();
      const outcome = outcomes.shift() ?? {};
      if (outcome instanceof Error) throw outcome;
      return outcome;
    },
    onStepped: () => undefined,
    onFailure: (_, wakeAfterMs) => retriesMs.push(wakeAfterMs),
  });
  const runUntil = async (ms: number): Promise<void> => {
    while (await clock.step(startedAt + ms));
  };
  return {
    ...{ loop, stepsAtMs, news, retriesMs, runUntil },
    onNextStep: (act: () => void): void => {
      duringStep = () => {
        duringStep = () => undefined;
        act();
      };
    },
  };
}

/** Longer than any pause between steps. */
const longMs = 600_000;

describe('the loop of a pod worker', () => {
  it('looks once more for all that changed during a step', async () => {
    const { loop, stepsAtMs, runUntil, onNextStep } = scripted([{ wakeAfterMs: 100 }]);
    onNextStep(() => {
      loop.notify();
      loop.notify();
      expect(stepsAtMs).toHaveLength(1);
    });
    loop.notify();
    expect(loop.isRunning).toBe(true);
    await runUntil(0);
    await new Promise(setImmediate);
    expect(loop.isRunning).toBe(false);
    // The wake-up of the first step has been replaced by the second, which wanted none.
    await runUntil(longMs);
    expect(stepsAtMs).toEqual([0, 0]);
  });

  it('looks again when a step asked for it', async () => {
    const { loop, stepsAtMs, runUntil } = scripted([{ again: true }, { wakeAfterMs: 250 }]);
    loop.notify();
    await new Promise(setImmediate);
    await runUntil(longMs);
    expect(stepsAtMs).toEqual([0, 0, 250]);
  });

  it('tells a step whether there was reason for it or only its time has come', async () => {
    const { loop, news, runUntil, onNextStep } = scripted([
      { again: true },
      { wakeAfterMs: 250 },
      { wakeAfterMs: 250 },
    ]);
    loop.notify();
    await new Promise(setImmediate);
    expect(news).toEqual([true, true]);
    onNextStep(() => loop.notify());
    await runUntil(longMs);
    expect(news).toEqual([true, true, false, true]);
  });

  it('tries again after failures with pauses that grow up to a minute, and from the start after a success', async () => {
    const failures = Array.from({ length: 9 }, () => new Error('no'));
    const { loop, stepsAtMs, retriesMs, runUntil } = scripted([...failures, {}, new Error('no')]);
    loop.notify();
    await new Promise(setImmediate);
    await runUntil(longMs);
    expect(retriesMs).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
    expect(stepsAtMs).toHaveLength(10);
    loop.notify();
    await new Promise(setImmediate);
    expect(retriesMs.at(-1)).toBe(500);
  });

  it('begins no step after it was closed', async () => {
    const { loop, stepsAtMs, runUntil } = scripted([{ wakeAfterMs: 100 }]);
    loop.notify();
    await new Promise(setImmediate);
    loop.close();
    loop.notify();
    await runUntil(longMs);
    expect(stepsAtMs).toEqual([0]);
  });
});
