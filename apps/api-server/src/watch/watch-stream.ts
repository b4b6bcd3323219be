import { StatusError, type Clock } from '@naru/foundation';
import { apiVersionOf, type AnyDefinition } from '@naru/api';
import { replaceRevision } from '../storage/codec';
import type { Entry } from '../storage/entry';
import type { CacheEvent } from '../storage/event-ring';
import { selects, type Selection, type WatchCache } from '../storage/watch-cache';

/** Where a watch writes. */
export interface WatchSink {
  write(chunk: Buffer): void;
  /** Bytes that were written and are not sent yet. */
  readonly backlogBytes: number;
  end(): void;
}

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
}

/** A client that is this far behind is cut off; it lists again. */
const maxBacklogBytes = 32 * 1024 * 1024;
const bookmarkIntervalMs = 30_000;
/** Events that may wait to be made ready. */
const maxWaiting = 20_000;

const opening: Record<string, Buffer> = {};
for (const type of ['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR'])
  opening[type] = Buffer.from(`{"type":"${type}","object":`);
const closing = Buffer.from('}\n');

/** One client's watch: turns the cache's events into lines, as its selector sees them. */
export class WatchStream {
  private pending: Buffer[] = [];
  private flushing = false;
  private first = true;
  private closed = false;
  private lastRevision = 0;
  /** What is being made ready, in order; unused where nothing has to be. */
  private tail: Promise<void> = Promise.resolve();
  private waiting = 0;
  private readonly cleanups: (() => void)[] = [];

  constructor(
    private readonly sink: WatchSink,
    private readonly options: WatchOptions,
  ) {}

  /** Begins; throws StatusError Expired, before anything is written, when the start is too long ago. */
  start(): void {
    const { cache, selection, after, initialEvents, bookmarks, clock, timeoutMs } = this.options;
    const missed = after === undefined || initialEvents ? [] : cache.eventsAfter(after);
    if (after === undefined || initialEvents) {
      const entries = cache.select(selection);
      // Together: asking for each alone would be slow.
      if (this.options.ready)
        this.inOrder(
          () => {},
          entries.map(entry => entry.bytes),
        );
      for (const entry of entries) this.push('ADDED', entry);
    }
    this.lastRevision = this.options.currentRevision();
    if (initialEvents && bookmarks) this.bookmark(true);
    for (const event of missed) this.onEvent(event);
    this.cleanups.push(cache.listen(this));
    this.cleanups.push(clock.after(timeoutMs, () => this.end()));
    if (bookmarks) this.scheduleBookmark();
  }

  onEvent(event: CacheEvent): void {
    const { selection } = this.options;
    if (this.closed || event.revision <= 0) return;
    const now = event.type !== 'DELETED' && selects(selection, event.entry);
    const before = event.previous !== undefined && selects(selection, event.previous);
    if (now) this.push(before ? 'MODIFIED' : 'ADDED', event.entry);
    else if (before) this.push('DELETED', event.type === 'DELETED' ? event.entry : lastSeen(event));
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
      this.stop();
      this.sink.end();
    };
    if (this.waiting > 0) this.inOrder(finish, []);
    else finish();
  }

  /** The client has gone. */
  stop(): void {
    this.closed = true;
    this.pending = [];
    for (const cleanup of this.cleanups.splice(0)) cleanup();
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
    const bytes = Buffer.from(JSON.stringify(object));
    if (this.waiting > 0) this.inOrder(() => this.enqueue('BOOKMARK', bytes), []);
    else this.enqueue('BOOKMARK', bytes);
  }

  private push(type: string, entry: Pick<Entry, 'bytes'>): void {
    const show = (): void => {
      this.enqueue(type, this.options.view(entry.bytes, this.first));
      this.first = false;
    };
    if (this.options.ready) this.inOrder(show, [entry.bytes]);
    else show();
  }

  /** Runs `then` when everything before it has been shown and the bytes are ready. */
  private inOrder(then: () => void, bytes: readonly Buffer[]): void {
    if (++this.waiting > maxWaiting) {
      this.stop();
      this.sink.end();
      return;
    }
    this.tail = this.tail
      .then(() => (this.closed ? undefined : this.options.ready?.(bytes)))
      .then(
        () => {
          this.waiting--;
          if (!this.closed) then();
        },
        () => {
          // Whoever watches lists again, and is told there what is wrong.
          this.stop();
          this.sink.end();
        },
      );
  }

  private enqueue(type: string, object: Buffer): void {
    this.pending.push(opening[type]!, object, closing);
    if (this.flushing) return;
    this.flushing = true;
    // One write, and one TLS record, for all events of this turn.
    setImmediate(() => this.flush());
  }

  private flush(): void {
    this.flushing = false;
    if (this.pending.length === 0 || this.closed) return;
    const chunk = Buffer.concat(this.pending);
    this.pending = [];
    this.sink.write(chunk);
    if (this.sink.backlogBytes <= maxBacklogBytes) return;
    this.stop();
    this.sink.end();
  }
}

/** What a client that can no longer see an object is shown: its last visible state under the new version. */
function lastSeen(event: CacheEvent): Pick<Entry, 'bytes'> {
  return { bytes: replaceRevision(event.previous!.bytes, event.revision) };
}

/** The line that tells of an error inside a running watch. */
export function errorLine(error: StatusError): Buffer {
  return Buffer.concat([opening['ERROR']!, Buffer.from(JSON.stringify(error.toStatus())), closing]);
}
