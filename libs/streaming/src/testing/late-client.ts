import { Duplex } from 'node:stream';

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve));

/** A client's connection that takes nothing until it is told to, and never says anything. It needs jest's fake timers. */
export class LateClient extends Duplex {
  received = '';
  #take: (() => void) | undefined;

  override _read(): void {}

  override _write(chunk: Buffer, _: BufferEncoding, done: () => void): void {
    this.#take = () => {
      this.received += chunk.toString('latin1');
      done();
    };
  }

  /** A minute passes, in which the other side may lose its patience. */
  async letTimePass(): Promise<void> {
    for (let second = 0; second < 60; second++) {
      await jest.advanceTimersByTimeAsync(1_000);
      await turn();
    }
  }

  /** Takes what has been waiting until `isAll` says so or the connection is closed. */
  async takeUntil(isAll: () => boolean): Promise<void> {
    while (!isAll() && !this.destroyed) {
      const take = this.#take;
      this.#take = undefined;
      take?.();
      await turn();
    }
  }

  async waitFor(condition: () => boolean): Promise<void> {
    while (!condition()) await turn();
  }
}

/** Time passes only when a test says so; what a connection needs to go on is not stopped. */
export function stopTime(): void {
  jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
}
