import type { cri } from '@naru/proto';

export type ContainerEvent = cri.ContainerEventResponse;

/** Events that a slow reader may be behind before it is cut off; it then connects again and lists. */
const maxQueued = 1_000;

/** Hands events to every stream that listens. */
export class EventHub {
  readonly #listeners = new Set<(event: ContainerEvent) => void>();

  get maxQueued(): number {
    return maxQueued;
  }

  emit(event: ContainerEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  /** True when somebody listens: else nobody needs an event's statuses to be made. */
  get watched(): boolean {
    return this.#listeners.size > 0;
  }

  /** Returns the function that ends it. */
  subscribe(listener: (event: ContainerEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
