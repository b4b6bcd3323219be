/** Lets callers wait for the end of a container. */
export class ExitWaiters {
  readonly #waiting = new Map<string, Set<() => void>>();

  notify(id: string): void {
    for (const wake of this.#waiting.get(id) ?? []) wake();
    this.#waiting.delete(id);
  }

  /** Resolves with true once `ended` holds, with false after the time; rejects when aborted. */
  async wait(id: string, ended: () => boolean, timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    if (ended()) return true;
    signal?.throwIfAborted();
    const waiting = this.#waiting.get(id) ?? new Set();
    this.#waiting.set(id, waiting);
    return new Promise<boolean>((resolve, reject) => {
      const finish = (settle: () => void): void => {
        clearTimeout(timer);
        waiting.delete(wake);
        signal?.removeEventListener('abort', abort);
        settle();
      };
      const wake = (): void => finish(() => resolve(ended()));
      const abort = (): void => finish(() => reject(signal?.reason as Error));
      const timer = setTimeout(wake, timeoutMs);
      waiting.add(wake);
      signal?.addEventListener('abort', abort, { once: true });
    });
  }
}
