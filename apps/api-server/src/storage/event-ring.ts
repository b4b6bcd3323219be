import type { Entry } from './entry';

export type EventType = 'ADDED' | 'MODIFIED' | 'DELETED';

/** One committed change of one resource. */
export interface CacheEvent {
  readonly type: EventType;
  readonly revision: number;
  /** The object after the change; of a deletion its last state under the deletion's revision. */
  readonly entry: Entry;
  /** The object before; absent when it was created. */
  readonly previous: Entry | undefined;
}

const maxEvents = 4096;
const maxBytes = 16 * 1024 * 1024;

/** The latest changes of one resource, bounded in number and bytes, for watches that start in the past. */
export class EventRing {
  private events: CacheEvent[] = [];
  private first = 0;
  private bytes = 0;

  /** `floor` is the revision of the state that was loaded: what came before is unknown. */
  constructor(private floor: number) {}

  push(event: CacheEvent): void {
    this.events.push(event);
    this.bytes += event.entry.bytes.length;
    while (
      this.events.length - this.first > maxEvents ||
      (this.bytes > maxBytes && this.first < this.events.length - 1)
    )
      this.dropFirst();
  }

  /** The events after `revision`, or undefined when the ring does not reach back that far. */
  after(revision: number): CacheEvent[] | undefined {
    if (revision < this.floor) return undefined;
    let low = this.first;
    let high = this.events.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.events[middle]!.revision <= revision) low = middle + 1;
      else high = middle;
    }
    return this.events.slice(low);
  }

  get oldest(): number {
    return this.floor;
  }

  private dropFirst(): void {
    const event = this.events[this.first]!;
    this.floor = event.revision;
    this.bytes -= event.entry.bytes.length;
    this.events[this.first] = undefined as never;
    this.first++;
    if (this.first < 1024) return;
    this.events = this.events.slice(this.first);
    this.first = 0;
  }
}
