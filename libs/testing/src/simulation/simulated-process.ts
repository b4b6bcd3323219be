import { setMaxListeners } from 'node:events';
import type { Feed, FeedListener, FeedMessage, ObjectsClient } from '@naru/client';
import { StatusError, type Clock } from '@naru/foundation';
import type { MemoryObjects } from '../memory-objects';
import type { Random } from './random';
import type { SimulatedClock } from './simulated-clock';

/** How likely things go wrong, each in [0, 1]. */
export interface Faults {
  /** A write is refused because it lost a race. */
  conflict?: number;
  /** A call does not reach the api-server. */
  unavailable?: number;
  /** A write is committed and its answer does not arrive. */
  lostAnswer?: number;
  /** An event does not arrive. */
  lostEvent?: number;
  doubledEvent?: number;
  /** Events take up to so many milliseconds, and so overtake each other. */
  eventDelayMs?: number;
}

export interface ProcessOptions {
  api: MemoryObjects;
  clock: SimulatedClock;
  random: Random;
  faults?: Faults;
  /** Called after each committed write, before its answer is on the way; `writes` counts from 1. */
  onWrite?: (writes: number, what: string) => void;
}

/** What a program is given instead of the network and the machine's clock. */
export interface ProcessEnvironment {
  client: ObjectsClient;
  feed: Feed;
  clock: Clock;
  signal: AbortSignal;
}

const bookmarkEveryMs = 5_000;
const writes = new Set(['create', 'createSubresource', 'update', 'patch', 'delete', 'deleteCollection']);
type Method = (...args: unknown[]) => Promise<unknown>;

/**
 * A process over the API in memory and a simulated clock. Its calls take time and may fail, its events may be lost, doubled or
 * late; after `crash` nothing of it ever runs again: no timer, no event, no answer.
 */
export class SimulatedProcess implements ProcessEnvironment {
  readonly client: ObjectsClient;
  readonly feed: Feed;
  readonly clock: Clock;
  faults: Faults;
  writes = 0;
  private readonly abort = new AbortController();
  readonly signal = this.abort.signal;

  constructor(private readonly options: ProcessOptions) {
    const { api, clock } = options;
    this.faults = options.faults ?? {};
    // Every informer and every wait listens.
    setMaxListeners(0, this.signal);
    this.clock = {
      now: () => clock.now(),
      sleep: (ms, signal) =>
        new Promise((resolve, reject) => {
          const end = (settle: () => void) => this.ifAlive(settle);
          clock.sleep(ms, signal).then(
            () => end(resolve),
            error => end(() => reject(error as Error)),
          );
        }),
      after: (ms, callback) => clock.after(ms, () => this.ifAlive(callback)),
    };
    this.client = new Proxy(api, {
      get: (_target, name: string) => {
        const method = Reflect.get(api, name) as Method;
        return name === 'close' ? () => undefined : (...args: unknown[]) => this.call(name, method.bind(api), args);
      },
    });
    this.feed = {
      subscribe: (filter, listener, signal) => api.subscribe(filter, this.listen(listener, signal), signal),
      close: async () => undefined,
    };
  }

  crash(): void {
    this.abort.abort(new Error('the simulated process crashed'));
  }

  private ifAlive(act: () => void): void {
    if (!this.signal.aborted) act();
  }

  private async call(name: string, method: Method, args: unknown[]): Promise<unknown> {
    const { clock, random, onWrite } = this.options;
    const isWrite = writes.has(name);
    // Ends for the living only: the dead get no answer.
    const travel = (): Promise<void> => this.clock.sleep(1 + random.below(5));
    await travel();
    const { conflict = 0, unavailable = 0, lostAnswer = 0 } = this.faults;
    if (random.chance(unavailable)) throw new StatusError('ServiceUnavailable', 'simulated: the api-server is away');
    if ((name === 'update' || name === 'patch') && random.chance(conflict))
      throw new StatusError('Conflict', 'simulated: the object has been modified');
    const outcome = await method(...args).then(
      value => ({ value }),
      (error: unknown) => ({ error }),
    );
    if (isWrite && !('error' in outcome)) {
      this.writes++;
      onWrite?.(this.writes, `${clock.now()} ${describe(name, args, outcome.value)}`);
    }
    await travel();
    if (isWrite && random.chance(lostAnswer)) throw new StatusError('Timeout', 'simulated: the answer is lost');
    if ('error' in outcome) throw outcome.error;
    return outcome.value;
  }

  private listen(listener: FeedListener, signal: AbortSignal): FeedListener {
    const { random } = this.options;
    const latest = new Map<string, FeedMessage>();
    const tell = (message: FeedMessage, delayMs: number): void => {
      this.clock.after(delayMs, () => signal.aborted || listener.onMessage(message));
    };
    const bookmark = (): void => {
      if (signal.aborted) return;
      for (const message of latest.values()) tell({ ...message, type: 'BOOKMARK' }, 1);
      this.clock.after(bookmarkEveryMs, bookmark);
    };
    this.clock.after(bookmarkEveryMs, bookmark);
    return {
      onLive: () => this.ifAlive(() => listener.onLive()),
      onLost: () => this.ifAlive(() => listener.onLost()),
      onMessage: message => {
        latest.set(message.partition, message);
        const { lostEvent = 0, doubledEvent = 0, eventDelayMs = 0 } = this.faults;
        if (random.chance(lostEvent)) return;
        tell(message, 1 + random.below(eventDelayMs + 1));
        if (random.chance(doubledEvent)) tell(message, 1 + random.below(2 * eventDelayMs + 1));
      },
    };
  }
}

/** A line of the trace: "update deployments web {...}". */
function describe(verb: string, args: unknown[], answer: unknown): string {
  const [{ resource }, subject, body] = args as [{ resource: string }, Named, unknown];
  const name = subject.name ?? (answer as Named | undefined)?.metadata?.name ?? '';
  const what = verb === 'update' ? (subject.status ?? subject.spec) : verb === 'patch' ? body : undefined;
  return [verb, resource, name, what && JSON.stringify(what).slice(0, 200)].filter(Boolean).join(' ');
}

interface Named {
  name?: string;
  metadata?: { name?: string };
  spec?: unknown;
  status?: unknown;
}
