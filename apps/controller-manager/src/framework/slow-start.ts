/**
 * Runs `work` `count` times in batches of 1, 2, 4, ... side by side, and stops after a batch in which one failed: when
 * the api-server refuses the first, it is not asked a thousand times. Answers how many succeeded, and the first error.
 */
export async function slowStart(
  count: number,
  work: (index: number) => Promise<void>,
  initialBatch = 1,
): Promise<{ done: number; error?: unknown }> {
  let done = 0;
  for (let batch = initialBatch, next = 0; next < count; batch *= 2) {
    const size = Math.min(batch, count - next);
    const results = await Promise.allSettled(Array.from({ length: size }, (_, i) => work(next + i)));
    next += size;
    const failed = results.find(result => result.status === 'rejected');
    done += results.filter(result => result.status === 'fulfilled').length;
    if (failed) return { done, error: failed.reason };
  }
  return { done };
}
