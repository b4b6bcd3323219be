/**
 * A queue of keys with upstream's guarantees: a key is worked on by one worker at a time; added while being worked on it
 * runs once more afterwards; added twice while waiting it runs once.
 */
export interface Workqueue {
  add(key: string): void;
  addAfter(key: string, delayMs: number): void;
  /** Adds after the key's back-off: 5 ms doubling to 1000 s, as upstream's default. */
  addRateLimited(key: string): void;
  forget(key: string): void;
  readonly depth: number;
  /** Stops taking keys and resolves when the running reconciles have ended. */
  shutDown(): Promise<void>;
}

/** What a reconciler answers: done, or look at the key again after a while. Throwing means back-off and retry. */
export type ReconcileResult = { requeueAfterMs?: number } | void;

export type Reconcile = (key: string, signal: AbortSignal) => Promise<ReconcileResult>;
