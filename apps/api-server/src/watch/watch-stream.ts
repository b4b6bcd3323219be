import { StatusError, type Clock } from '@naru/foundation';
import { apiVersionOf, type AnyDefinition } from '@naru/api';
import { replaceRevision } from '../storage/codec';
import type { CacheEvent } from '../storage/event-ring';
import { selects, type Selection, type WatchCache } from '../storage/watch-cache';
import { eventLine, sharedLine } from './event-lines';
import { flushQueue } from './flush-queue';
import { watchBudget, type Holder, type WatchBudget } from './watch-budget';
import type { WatchSink } from './watch-sink';

export interface WatchOptions {
  definition: AnyDefinition;
  cache: WatchCache;
  selection: Selection;
  /** Where to start; undefined: with the present state, as ADDED events. */
  after: number | undefined;
  bookmarks: boolean;
  /** The present state comes first even with a start, and ends with a marked bookmark. */
  initialEvents: boolean;
  timeoutMs: number;
  clock: Clock;
  /** The revision up to which nothing more can come. */
  currentRevision(): number;
  /** To be awaited before objects are viewed; undefined when they can be at once. */
  ready?(bytes: readonly Buffer[]): Promise<void> | undefined;
  /** The object's JSON in the client's shape. */
  view(bytes: Buffer, first: boolean): Buffer;
  /** Watches with the same one show every object alike, the first too. */
  sharedBy?: object | undefined;
  budget?: WatchBudget;
}

/** A client may be this far behind for `graceMs`, so that a burst of changes does not cost it its watch. */
const maxBacklogBytes = 1024 * 1024;
const graceMs = 1000;
/** A client that is this far behind is cut off at once; it lists again. */
const maxBurstBytes = 8 * 1024 * 1024;
/** A client that takes nothing of the present state for this long is cut off. */
const maxStallMs = 60_000;
const pieceBytes = 64 * 1024;
const bookmarkIntervalMs = 30_000;
/** Events that may wait to be made ready. */
const maxWaiting = 5000;

interface Item {
  type: string;
  /** The object as stored; empty when the line is there. */
  bytes: Buffer;
  line?: Buffer;
}

/** One client's watch: turns the cache's events into lines, as its selector sees them. */
export class WatchStream implements Holder {
  /** The present state, or what was missed: made into lines only as fast as the client takes them. */
  private initial: Item[] = [];
  private initialAt = 0;
  private initialReady = true;
  /** Lines of later events, with the bytes of all that the client has not taken yet. */
  private pending: Buffer[] = [];
  private pendingBytes = 0;
  private writtenBytes = 0;
  private blocked = false;
  private flushing = false;
  private cancelGrace: (() => void) | undefined;
  private cancelStall: (() => void) | undefined;
  private first = true;
  private closed = false;
  private lastRevision = 0;
  /** What is being made ready, in order; unused where nothing has to be. */
  private tail: Promise<void> = Promise.resolve();
  private waiting = 0;
  private readonly cleanups: (() => void)[] = [];
  private readonly budget: WatchBudget;

  constructor(
    private readonly sink: WatchSink,
    private readonly options: WatchOptions,
  ) {
    this.budget = options.budget ?? watchBudget;
    sink.onDrain(() => this.drained());
  }

  get heldBytes(): number {
    return this.pendingBytes + this.writtenBytes;
  }

  /** Begins; throws StatusError Expired, before anything is written, when the start is too long ago. */
  start(): void {
    const { cache, selection, after, initialEvents, bookmarks, clock, timeoutMs } = this.options;
    const fromNow = after === undefined || initialEvents;
    const missed = fromNow ? [] : cache.eventsAfter(after);
    const present = fromNow ? cache.select(this.looksInside ? withoutFields(selection) : selection) : [];
    this.lastRevision = Math.max(this.options.currentRevision(), after ?? 0);
    const ends = initialEvents && bookmarks ? [eventLine('BOOKMARK', this.bookmarkObject(true))] : [];
    const begin = (): void => {
      const chosen = this.looksInside ? present.filter(entry => selects(selection, entry)) : present;
      this.initial = chosen.map(({ bytes }) => ({ type: 'ADDED', bytes }));
      for (const line of ends) this.initial.push({ type: 'BOOKMARK', bytes: empty, line });
      for (const event of missed) this.initial.push(...this.seen(event));
    };
    if (this.options.ready) {
      this.initialReady = false;
      // Together: asking for each alone would be slow.
      this.inOrder(begin, () => (this.looksInside ? [...present.map(bytesOf), ...missed.flatMap(bothStates)] : []));
      this.inOrder(
        () => this.initialIsReady(),
        () => this.initial.filter(({ line }) => !line).map(bytesOf),
      );
    } else {
      begin();
      this.schedule();
    }
    this.cleanups.push(cache.listen(this));
    this.cleanups.push(clock.after(timeoutMs, () => this.end()));
    if (bookmarks) this.scheduleBookmark();
  }

  onEvent(event: CacheEvent): void {
    // A client that read from another api-server may be ahead of this one.
    if (this.closed || event.revision <= (this.options.after ?? 0)) return;
    if (this.looksInside) {
      let items: Item[] = [];
      this.inOrder(
        () => (items = this.seen(event)),
        () => bothStates(event),
      );
      this.inOrder(
        () => items.forEach(item => this.enqueue(this.lineOf(item))),
        () => items.map(bytesOf),
      );
    } else for (const item of this.seen(event, true)) this.push(item);
    this.lastRevision = event.revision;
  }

  onEnd(): void {
    this.end();
  }

  /** Ends the stream cleanly: the client watches again from where it was. */
  end(): void {
    if (this.closed) return;
    if (this.options.bookmarks) this.bookmark(false);
    const finish = (): void => {
      if (this.closed) return;
      this.flush();
      if (this.closed) return;
      // Who is behind comes back for the rest.
      const behind = this.pending.length > 0 || this.initialAt < this.initial.length;
      this.stop();
      if (behind) this.sink.destroy();
      else this.sink.end();
    };
    if (this.waiting > 0) this.inOrder(finish);
    else finish();
  }

  /** The client has gone. */
  stop(): void {
    this.closed = true;
    this.pending = [];
    this.initial = [];
    this.initialAt = 0;
    const held = this.heldBytes;
    this.pendingBytes = 0;
    this.writtenBytes = 0;
    this.budget.give(this, held);
    this.calm();
    for (const cleanup of this.cleanups.splice(0)) cleanup();
  }

  /** Too slow: what waits for this client is dropped now. */
  cut(): void {
    if (this.closed) return;
    this.stop();
    this.sink.destroy();
  }

  private scheduleBookmark(): void {
    const cancel = this.options.clock.after(bookmarkIntervalMs, () => {
      this.cleanups.splice(this.cleanups.indexOf(cancel), 1);
      if (this.closed) return;
      this.bookmark(false);
      this.scheduleBookmark();
    });
    this.cleanups.push(cancel);
  }

  private bookmark(endOfInitialEvents: boolean): void {
    const line = eventLine('BOOKMARK', this.bookmarkObject(endOfInitialEvents));
    if (this.waiting > 0) this.inOrder(() => this.enqueue(line));
    else this.enqueue(line);
  }

  private bookmarkObject(endOfInitialEvents: boolean): Buffer {
    const { definition, currentRevision } = this.options;
    const object = {
      kind: definition.type.kind,
      apiVersion: apiVersionOf(definition.type),
      metadata: {
        resourceVersion: String(Math.max(currentRevision(), this.lastRevision)),
        creationTimestamp: null,
        ...(endOfInitialEvents ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}),
      },
    };
    return Buffer.from(JSON.stringify(object));
  }

  /** The selector asks about fields that are there only when objects have been made ready. */
  private get looksInside(): boolean {
    return this.options.ready !== undefined && this.options.selection.fieldsOf !== undefined;
  }

  /** What this client's selector makes of an event: one item or none. */
  private seen(event: CacheEvent, live = false): Item[] {
    const { selection, sharedBy, ready } = this.options;
    const now = event.type !== 'DELETED' && selects(selection, event.entry);
    const before = event.previous !== undefined && selects(selection, event.previous);
    if (!now && !before) return [];
    const type = !now ? 'DELETED' : before ? 'MODIFIED' : 'ADDED';
    const lost = !now && event.type !== 'DELETED';
    const stored = (): Buffer => (lost ? lastSeen(event) : event.entry.bytes);
    if (!live || !sharedBy || ready) return [{ type, bytes: stored() }];
    const key = lost ? event.previous!.bytes : event.entry.bytes;
    return [{ type, bytes: empty, line: sharedLine(type, key, sharedBy, () => this.options.view(stored(), false)) }];
  }

  private push(item: Item): void {
    if (!this.options.ready) return this.enqueue(this.lineOf(item));
    this.inOrder(
      () => this.enqueue(this.lineOf(item)),
      () => [item.bytes],
    );
  }

  private lineOf({ type, bytes, line }: Item): Buffer {
    if (line) return line;
    const made = eventLine(type, this.options.view(bytes, this.first));
    this.first = false;
    return made;
  }

  private initialIsReady(): void {
    this.initial = this.initial.map(item => ({ type: item.type, bytes: empty, line: this.lineOf(item) }));
    this.initialReady = true;
    this.schedule();
  }

  /** Runs `then` when everything before it has been done and the bytes, which are asked for only then, are ready. */
  private inOrder(then: () => void, bytes: () => readonly Buffer[] = () => []): void {
    if (++this.waiting > maxWaiting) {
      this.cut();
      return;
    }
    this.tail = this.tail
      .then(() => (this.closed ? undefined : this.options.ready?.(bytes())))
      .then(() => {
        this.waiting--;
        if (!this.closed) then();
      })
      // Whoever watches lists again, and is told there what is wrong.
      .catch(() => this.cut());
  }

  private enqueue(line: Buffer): void {
    if (this.closed) return;
    this.pending.push(line);
    this.pendingBytes += line.length;
    this.budget.take(this, line.length);
    if (this.closed) return;
    // However large it is, one event may wait.
    const behind = this.pendingBytes - this.pending[0]!.length;
    if (behind > maxBurstBytes) return this.cut();
    if (behind > maxBacklogBytes) this.cancelGrace ??= this.options.clock.after(graceMs, () => this.cut());
    this.schedule();
  }

  private schedule(): void {
    if (this.flushing || this.blocked) return;
    this.flushing = true;
    // One write, and one TLS record, for all events of this turn.
    flushQueue.add(() => {
      this.flushing = false;
      this.flush();
    });
  }

  private flush(): void {
    while (!this.blocked && !this.closed && this.initialReady) {
      let chunk: Buffer | undefined;
      try {
        chunk = this.nextPiece();
      } catch {
        // Whoever watches lists again, and is told there what cannot be shown.
        return this.cut();
      }
      if (!chunk) return;
      if (this.sink.write(chunk) || this.closed) continue;
      this.blocked = true;
      this.writtenBytes = chunk.length;
      this.budget.take(this, chunk.length);
      if (!this.closed && this.initialAt < this.initial.length)
        this.cancelStall = this.options.clock.after(maxStallMs, () => this.cut());
    }
  }

  /** A piece that is one line is the line itself, which other watches may be sending too. */
  private nextPiece(): Buffer | undefined {
    const lines: Buffer[] = [];
    let size = 0;
    for (; this.initialAt < this.initial.length && size < pieceBytes; this.initialAt++) {
      const line = this.lineOf(this.initial[this.initialAt]!);
      lines.push(line);
      size += line.length;
    }
    if (this.initialAt === this.initial.length && this.initialAt > 0) {
      this.initial = [];
      this.initialAt = 0;
    }
    let taken = 0;
    if (this.initial.length === 0) {
      for (; taken < this.pending.length && size < pieceBytes; taken++) {
        const line = this.pending[taken]!;
        lines.push(line);
        size += line.length;
        this.pendingBytes -= line.length;
        this.budget.give(this, line.length);
      }
      this.pending.splice(0, taken);
    }
    return lines.length > 1 ? Buffer.concat(lines, size) : lines[0];
  }

  private drained(): void {
    if (this.closed || !this.blocked) return;
    const written = this.writtenBytes;
    this.blocked = false;
    this.writtenBytes = 0;
    this.budget.give(this, written);
    this.calm();
    this.flush();
  }

  private calm(): void {
    this.cancelGrace?.();
    this.cancelStall?.();
    this.cancelGrace = this.cancelStall = undefined;
  }
}

const empty = Buffer.alloc(0);
const bytesOf = ({ bytes }: { bytes: Buffer }): Buffer => bytes;
const bothStates = ({ entry, previous }: CacheEvent): Buffer[] => [entry, ...(previous ? [previous] : [])].map(bytesOf);

function withoutFields({ namespace, labels }: Selection): Selection {
  return { namespace, labels };
}

/** What a client that can no longer see an object is shown: its last visible state under the new version. */
function lastSeen(event: CacheEvent): Buffer {
  return replaceRevision(event.previous!.bytes, event.revision);
}

/** The line that tells of an error inside a running watch. */
export function errorLine(error: StatusError): Buffer {
  return eventLine('ERROR', Buffer.from(JSON.stringify(error.toStatus())));
}
