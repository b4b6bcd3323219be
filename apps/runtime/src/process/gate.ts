/** What is nearer to a running container goes first: pods that have begun are finished before others begin. */
export type Stage = 'sandbox' | 'create' | 'start';

const order: readonly Stage[] = ['start', 'create', 'sandbox'];

/**
 * Lets only so many pieces of work at the machine at once. Starting a pod is mostly processes that come and go; with all
 * of a burst side by side they get in each other's way, and the first pod is ready when the last one is.
 *
 * A piece that takes long only waits (for a network plugin, say) and stops counting, so that it holds up nobody.
 */
export class Gate {
  readonly #waiting = new Map<Stage, (() => void)[]>(order.map(stage => [stage, []]));
  #busy = 0;

  constructor(private readonly options: { slots: number; patienceMs: number }) {}

  async run<T>(stage: Stage, work: () => Promise<T>): Promise<T> {
    if (this.#busy < this.options.slots) this.#busy++;
    else await new Promise<void>(resolve => this.#waiting.get(stage)?.push(resolve));
    let counts = true;
    const leave = (): void => {
      if (!counts) return;
      counts = false;
      this.#leave();
    };
    const timer = setTimeout(leave, this.options.patienceMs).unref();
    try {
      return await work();
    } finally {
      clearTimeout(timer);
      leave();
    }
  }

  /** The slot goes to the next in line, if there is one. */
  #leave(): void {
    for (const stage of order) {
      const next = this.#waiting.get(stage)?.shift();
      if (next) return next();
    }
    this.#busy--;
  }
}
