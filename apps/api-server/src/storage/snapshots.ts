import type { Entry } from './entry';

/** As long as upstream's store is sure to remember. */
const keptMs = 5 * 60_000;
/** What the snapshots of one kind may hold beyond what there is now. */
const defaultMaxBytes = 32 * 1024 * 1024;
const bytesOfReference = 8;
/** Its labels, fields and key, beside the encoded object. */
const bytesOfEntry = 256;

/** All objects from one key on, in key order, as they were at every revision of a range. */
interface Snapshot {
  entries: Entry[];
  from: string;
  oldest: number;
  newest: number;
  /** Of the contents it was taken from; undefined for those of another server. */
  generation: number | undefined;
  expiresMs: number;
  bytes: number;
}

export interface Moment {
  entries: Entry[];
  /** Of the kind's contents, when these are they: while it stays the same, one snapshot serves many revisions. */
  generation?: number;
  /** The key that the entries begin with; default: all. */
  from?: string;
  /** What the entries hold that is not in use anyway, in bytes. */
  bytes?: number;
}

/**
 * The past of one kind, for lists that were cut by `limit` and are to be continued as they were. Entries are shared with the
 * present, so a snapshot costs a reference each, and the bytes of what has changed since.
 */
export class Snapshots {
  /** In the order of their making: what changes is held by the last and by earlier ones, so the first go first. */
  private readonly kept: Snapshot[] = [];
  private bytes = 0;
  private newest = -1;

  constructor(private readonly maxBytes = defaultMaxBytes) {}

  keep(revision: number, nowMs: number, { entries, generation, from = '', bytes = 0 }: Moment): void {
    const expiresMs = nowMs + keptMs;
    this.newest = Math.max(this.newest, revision);
    const same = generation === undefined ? undefined : this.kept.find(each => each.generation === generation);
    if (same) {
      same.newest = revision;
      same.expiresMs = expiresMs;
    } else {
      const cost = bytes + entries.length * bytesOfReference;
      this.kept.push({ entries, from, oldest: revision, newest: revision, generation, expiresMs, bytes: cost });
      this.bytes += cost;
    }
    while (this.kept[0] && this.kept[0].expiresMs <= nowMs) this.dropOldest();
    this.limit();
  }

  /** What was there at a revision, if that is still known and reaches back to `from`. */
  find(revision: number, nowMs: number, from: string): Entry[] | undefined {
    return this.kept.find(
      each => each.oldest <= revision && revision <= each.newest && each.from <= from && each.expiresMs > nowMs,
    )?.entries;
  }

  /** An entry that is not of the present any more: from now on it is there for the snapshots alone. */
  hold(entry: Entry): void {
    const last = this.kept.at(-1);
    if (!last || entry.revision > this.newest) return;
    const bytes = entry.bytes.length + bytesOfEntry;
    last.bytes += bytes;
    this.bytes += bytes;
    this.limit();
  }

  clear(): void {
    this.kept.length = 0;
    this.bytes = 0;
    this.newest = -1;
  }

  /** The last one stays, whatever it holds: else no list of a large kind could be continued. */
  private limit(): void {
    while (this.bytes > this.maxBytes && this.kept.length > 1) this.dropOldest();
  }

  private dropOldest(): void {
    this.bytes -= this.kept.shift()?.bytes ?? 0;
  }
}
