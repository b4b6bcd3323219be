import { SimulatedWorld, type Scenario, type Start, type WorldOptions } from './simulated-world';

export type { Scenario } from './simulated-world';

/** Crashes are tried after at most so many of the writes of an undisturbed run, spread evenly. */
const maxCrashes = 15;
/** Long enough for every timer that a controller may have set by mistake to show. */
const restMs = 3 * 60_000;

const eventFaults = { lostEvent: 0.2, doubledEvent: 0.2, eventDelayMs: 400 };
const callFaults = { conflict: 0.2, unavailable: 0.1, lostAnswer: 0.05 };

/** NARU_SEED replays one seed; NARU_SEEDS tries so many instead of a few. */
function seeds(): number[] {
  const { NARU_SEED, NARU_SEEDS = '3' } = process.env;
  if (NARU_SEED !== undefined) return [Number(NARU_SEED)];
  return Array.from({ length: Number(NARU_SEEDS) }, (_, i) => i + 1);
}

/**
 * Proves of controllers that they converge whatever happens to them: that they rest when there is nothing to do, also after a
 * restart, and that conflicts, failed calls, a crash after any write, and events that are lost, doubled or out of order change
 * nothing about the end. Time and bus are simulated, and a run is decided by its seed: a failing one says how to replay it.
 */
export function controllerSuite(name: string, start: Start, scenario: Scenario): void {
  const run = async (options: WorldOptions, rest = 0): Promise<SimulatedWorld> => {
    const world = new SimulatedWorld(start, scenario, options);
    try {
      await world.run(rest);
      return world;
    } catch (cause) {
      const { seed, crashAfterWrite } = options;
      const crash = crashAfterWrite === undefined ? '' : ` with a crash after write ${crashAfterWrite}`;
      const last = world.trace.slice(-20).join('\n  ');
      const message = `seed ${seed}${crash} (NARU_SEED=${seed} replays it): ${(cause as Error).message}`;
      throw new Error(`${message}\nthe last writes:\n  ${last}`, { cause });
    }
  };

  describe(name, () => {
    test('reaches its end, then writes no more, also when started anew', async () => {
      for (const seed of seeds()) {
        const world = await run({ seed }, 10_000);
        expect(await world.advance(restMs)).toEqual([]);
        world.restart();
        expect(await world.advance(restMs)).toEqual([]);
        await scenario.expectEnd(world.api);
      }
    });

    test('reaches its end through a crash after any write', async () => {
      const [seed = 1] = seeds();
      const { length } = (await run({ seed })).trace;
      const stride = Math.max(1, Math.ceil(length / maxCrashes));
      for (let crashAfterWrite = 1; crashAfterWrite <= length; crashAfterWrite += stride)
        await run({ seed, crashAfterWrite }, 5_000);
    });

    test('reaches its end through conflicts, failed calls and lost answers', async () => {
      for (const seed of seeds()) await run({ seed, faults: callFaults, touchEveryMs: 50 }, 5_000);
    });

    test('reaches its end through events that are lost, doubled, late and out of order', async () => {
      for (const seed of seeds()) await run({ seed, faults: eventFaults }, 5_000);
    });

    test('reaches its end through all of that at once', async () => {
      for (const seed of seeds())
        await run(
          { seed, faults: { ...eventFaults, ...callFaults }, touchEveryMs: 50, crashAfterWrite: 3 + seed },
          5_000,
        );
    });
  });
}
