import { systemClock, type Clock, type Logger } from '@naru/foundation';
import type { Reconcile, Workqueue } from './workqueue-types';

export interface WorkqueueOptions {
  name: string;
  /** How many keys are worked on at once. */
  concurrency: number;
  reconcile: Reconcile;
  logger: Logger;
  clock?: Clock;
  /** The first back-off; it doubles with each failure in a row. Default 5 ms. */
  baseDelayMs?: number;
  /** Default 1000 s, as upstream's default rate limiter. */
  maxDelayMs?: number;
}

/** Counts of all queues of the process, read by the metrics endpoint. */
export interface WorkqueueStats {
  name: string;
  depth: number;
  adds: number;
  retries: number;
  running: number;
  /** Of the keys that are being worked on: the sum of their times, and the longest. */
  unfinishedSeconds: number;
  longestSeconds: number;
}

/** Hears how long keys wait and how long they are worked on. */
export interface WorkqueueObserver {
  waited(queue: string, seconds: number): void;
  worked(queue: string, seconds: number): void;
}

let observer: WorkqueueObserver | undefined;

export function observeWorkqueues(wanted: WorkqueueObserver): void {
  observer = wanted;
}

const queues = new Set<ReconcilerQueue>();

/** What every queue of this process is doing, for metrics. */
export function workqueueStats(): WorkqueueStats[] {
  return [...queues].map(queue => queue.stats());
}

export function createWorkqueue(options: WorkqueueOptions): Workqueue {
  const queue = new ReconcilerQueue(options);
  queues.add(queue);
  return queue;
}

class ReconcilerQueue implements Workqueue {
  /** Keys and since when. */
  private readonly waiting = new Map<string, number>();
  private readonly running = new Map<string, number>();
  /** Keys that were added while they were worked on. */
  private readonly again = new Set<string>();
  private readonly failures = new Map<string, number>();
  private readonly timers = new Map<string, { at: number; cancel: () => void }>();
  private readonly controller = new AbortController();
  private readonly clock: Clock;
  private idle: (() => void) | undefined;
  private pumping = false;
  private adds = 0;
  private retries = 0;

  constructor(private readonly options: WorkqueueOptions) {
    this.clock = options.clock ?? systemClock;
  }

  get depth(): number {
    return this.waiting.size;
  }

  stats(): WorkqueueStats {
    const { adds, retries } = this;
    const seconds = [...this.running.values()].map(since => (this.clock.now() - since) / 1000);
    return {
      name: this.options.name,
      depth: this.depth,
      adds,
      retries,
      running: this.running.size,
      unfinishedSeconds: seconds.reduce((sum, each) => sum + each, 0),
      longestSeconds: Math.max(0, ...seconds),
    };
  }

  add(key: string): void {
    if (this.controller.signal.aborted) return;
    this.adds++;
    if (this.running.has(key)) this.again.add(key);
    else {
      if (!this.waiting.has(key)) this.waiting.set(key, this.clock.now());
      this.schedulePump();
    }
  }

  addAfter(key: string, delayMs: number): void {
    if (this.controller.signal.aborted) return;
    if (delayMs <= 0) return this.add(key);
    const at = this.clock.now() + delayMs;
    const pending = this.timers.get(key);
    // Of two delays for a key the earlier one counts.
    if (pending && pending.at <= at) return;
    pending?.cancel();
    const cancel = this.clock.after(delayMs, () => {
      this.timers.delete(key);
      this.add(key);
    });
    this.timers.set(key, { at, cancel });
  }

  addRateLimited(key: string): void {
    const failures = this.failures.get(key) ?? 0;
    this.failures.set(key, failures + 1);
    this.retries++;
    const { baseDelayMs = 5, maxDelayMs = 1_000_000 } = this.options;
    this.addAfter(key, Math.min(baseDelayMs * 2 ** Math.min(failures, 40), maxDelayMs));
  }

  forget(key: string): void {
    this.failures.delete(key);
  }

  async shutDown(): Promise<void> {
    this.controller.abort(new Error('the queue is shutting down'));
    for (const { cancel } of this.timers.values()) cancel();
    this.timers.clear();
    this.waiting.clear();
    queues.delete(this);
    if (this.running.size > 0) await new Promise<void>(resolve => (this.idle = resolve));
  }

  /** Starts work in a later turn of the loop, so that a burst of adds is taken together. */
  private schedulePump(): void {
    if (this.pumping) return;
    this.pumping = true;
    queueMicrotask(() => {
      this.pumping = false;
      this.pump();
    });
  }

  private pump(): void {
    for (const [key, since] of this.waiting) {
      if (this.running.size >= this.options.concurrency) return;
      this.waiting.delete(key);
      const now = this.clock.now();
      this.running.set(key, now);
      observer?.waited(this.options.name, (now - since) / 1000);
      void this.work(key);
    }
  }

  private async work(key: string): Promise<void> {
    const { reconcile, logger, name } = this.options;
    const { signal } = this.controller;
    try {
      const result = await reconcile(key, signal);
      this.forget(key);
      if (result?.requeueAfterMs !== undefined) this.addAfter(key, result.requeueAfterMs);
    } catch (err) {
      if (!signal.aborted) {
        logger.warn({ err, queue: name, key, failures: this.failures.get(key) ?? 0 }, 'reconcile failed');
        this.addRateLimited(key);
      }
    } finally {
      observer?.worked(name, (this.clock.now() - (this.running.get(key) ?? this.clock.now())) / 1000);
      this.running.delete(key);
      if (this.again.delete(key)) this.waiting.set(key, this.clock.now());
      if (signal.aborted) {
        if (this.running.size === 0) this.idle?.();
      } else this.schedulePump();
    }
  }
}
