import { StatusError } from '@naru/foundation';
import type { PriorityLevelConfiguration } from '@naru/api';

/** One request's place among those that are served; to be given back once. */
export interface Seat {
  release(): void;
}

interface Waiter {
  start(): void;
}

export type RejectReason = 'queue-full' | 'concurrency-limit' | 'time-out' | 'cancelled';

/** A 429 that says when to come again. */
export class RequestRejected extends StatusError {
  constructor(readonly why: RejectReason) {
    super('TooManyRequests', 'Too many requests, please try again later.', { details: { retryAfterSeconds: 1 } });
  }
}

/** Upstream's: a quarter of a request's minute. */
const maxWaitMs = 15_000;

/**
 * The requests of one priority level: so many are served at the same time, others wait in queues or are refused. Flows
 * are dealt hands of queues (shuffle sharding), so that a flow that fills its own leaves most others room, and the queues
 * are served in turn.
 */
export class PriorityLevel {
  uid = '';
  exempt = false;
  /** How many it may serve at the same time when all levels are busy. */
  nominal = 0;
  /** How many of these others may use while it does not. */
  lendable = 0;
  /** How many of others it may use; undefined: all they lend. */
  borrowingLimit: number | undefined;
  executing = 0;
  waiting = 0;
  private queueing: { handSize: number; lengthLimit: number } | undefined;
  private queues: Waiter[][] = [];
  private turn = 0;

  constructor(
    readonly name: string,
    /** Whether others lend this level a seat now. */
    private readonly mayBorrow: (level: PriorityLevel) => boolean,
    /** A seat is free: somebody of any level may be waiting for it. */
    private readonly onRelease: () => void,
  ) {}

  configure(uid: string, spec: PriorityLevelConfiguration['spec']): void {
    this.uid = uid;
    this.exempt = spec?.type === 'Exempt';
    const queuing = spec?.limited?.limitResponse?.queuing;
    this.queueing = queuing && { handSize: queuing.handSize ?? 8, lengthLimit: queuing.queueLengthLimit ?? 50 };
    const count = queuing?.queues ?? 1;
    if (count === this.queues.length) return;
    const waiters = this.queues.flat();
    this.queues = Array.from({ length: count }, () => []);
    for (const [index, waiter] of waiters.entries()) this.queues[index % count]!.push(waiter);
  }

  /** `flow` is a hash: requests with the same one belong together. @throws RequestRejected */
  enter(flow: number, signal: AbortSignal): Seat | Promise<Seat> {
    if (this.exempt || (this.waiting === 0 && this.hasRoom())) return this.takeSeat();
    if (!this.queueing) throw new RequestRejected('concurrency-limit');
    const queue = this.shortestOf(flow, this.queueing.handSize);
    if (queue.length >= this.queueing.lengthLimit) throw new RequestRejected('queue-full');
    return this.wait(queue, signal);
  }

  /** Lets those in who have waited, as far as there is room. */
  dispatch(): void {
    while (this.waiting > 0 && this.hasRoom()) {
      while (this.queues[this.turn % this.queues.length]!.length === 0) this.turn++;
      this.queues[this.turn++ % this.queues.length]!.shift()!.start();
    }
  }

  private hasRoom(): boolean {
    return this.executing < this.nominal || this.mayBorrow(this);
  }

  private takeSeat(): Seat {
    this.executing++;
    let taken = true;
    return {
      release: () => {
        if (!taken) return;
        taken = false;
        this.executing--;
        this.onRelease();
      },
    };
  }

  private wait(queue: Waiter[], signal: AbortSignal): Promise<Seat> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.waiting--;
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
      };
      const giveUp = (why: RejectReason): void => {
        const at = queue.indexOf(waiter);
        if (at >= 0) queue.splice(at, 1);
        leave();
        reject(new RequestRejected(why));
      };
      const onAbort = (): void => giveUp('cancelled');
      const waiter: Waiter = {
        start: () => {
          leave();
          resolve(this.takeSeat());
        },
      };
      const timer = setTimeout(() => giveUp('time-out'), maxWaitMs).unref();
      signal.addEventListener('abort', onAbort, { once: true });
      queue.push(waiter);
      this.waiting++;
    });
  }

  /** Deals the flow its hand of different queues, always the same, and picks the shortest. */
  private shortestOf(flow: number, handSize: number): Waiter[] {
    const { queues } = this;
    const step = 1 + (flow % Math.max(1, queues.length - 1));
    let best = queues[flow % queues.length]!;
    for (let card = 1; card < Math.min(handSize, queues.length); card++) {
      const queue = queues[(flow + card * step) % queues.length]!;
      if (queue.length < best.length) best = queue;
    }
    return best;
  }
}
