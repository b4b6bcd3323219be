import { eventually } from './eventually';

/**
 * Does `work` until it has once taken less than `limitMs`, and answers what it did then: a busy machine holds up some turns, what is
 * slow by itself takes its time every time. So `work` must be what can be done again.
 */
export function within<T>(limitMs: number, work: () => T | Promise<T>): Promise<T> {
  return eventually(async () => {
    const from = performance.now();
    const result = await work();
    const tookMs = Math.round(performance.now() - from);
    if (tookMs >= limitMs) throw new Error(`took ${tookMs} ms each time, which is not less than ${limitMs} ms`);
    return result;
  });
}
