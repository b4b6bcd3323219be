/** Waits until `check` stops throwing; fails with its last error after `timeoutMs`: before the test itself runs out of time. */
export async function eventually<T>(check: () => T | Promise<T>, timeoutMs = 90_000, intervalMs = 10): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise(resolve => setTimeout(resolve, intervalMs));
    }
  }
}
