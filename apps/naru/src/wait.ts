import { setTimeout as sleep } from 'node:timers/promises';

/** Asks `ready` again and again until it answers something true. Throws, naming what was waited for, after the timeout. */
export async function waitFor<T>(
  what: string,
  ready: () => T | Promise<T>,
  { timeoutMs, everyMs = 50 }: { timeoutMs: number; everyMs?: number },
): Promise<NonNullable<T>> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const answer = await ready();
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs / 1000} s for ${what} in vain`);
    await sleep(everyMs);
  }
}
