import { systemClock } from '@naru/foundation';
import { cri } from '@naru/proto';
import { notReadyReasons } from './node-status';
import { RuntimeState } from './runtime-state';

/** A node's runtime that answers or does not, and the time. */
function runtimeOf(): { state: RuntimeState; world: { answers: boolean; nowMs: number } } {
  const world = { answers: true, nowMs: 1_000_000 };
  const ready = { status: true, reason: '', message: '' };
  const answer = cri.StatusResponse.fromPartial({
    status: { conditions: ['RuntimeReady', 'NetworkReady'].map(type => ({ type, ...ready })) },
  });
  const status = (): Promise<cri.StatusResponse> =>
    world.answers ? Promise.resolve(answer) : Promise.reject(new Error('no such socket'));
  const clock = { ...systemClock, now: () => world.nowMs };
  return { state: new RuntimeState({ runtime: { status }, clock, isShuttingDown: () => false }), world };
}

test('a node is ready while its runtime is started anew, and not when that takes half a minute', async () => {
  const { state, world } = runtimeOf();
  const reasons = async (): Promise<string[]> => notReadyReasons(await state.read());
  expect(await reasons()).toEqual([]);
  world.answers = false;
  world.nowMs += 29_999;
  expect(await reasons()).toEqual([]);
  world.nowMs += 1;
  expect(await reasons()).toEqual(['container runtime is down: no such socket']);
  world.answers = true;
  expect(await reasons()).toEqual([]);
});

test('a node whose runtime has not answered yet is not ready', async () => {
  const { state, world } = runtimeOf();
  world.answers = false;
  expect(notReadyReasons(await state.read())).toEqual(['container runtime is down: no such socket']);
});
