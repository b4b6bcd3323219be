import type { EncodedAnswer } from '../wire/answer';

export interface CacheEntry {
  answer: EncodedAnswer;
  storedAt: number;
  expiresAt: number;
  hits: number;
  /** "No such name", "no such record" and failures. */
  negative: boolean;
  /** Already being asked again before its end. */
  refreshing: boolean;
}

export interface AnswerCacheOptions {
  maxEntries: number;
  maxBytes: number;
}

/** What an entry takes beside its bytes, roughly: the objects around it. */
const entryOverhead = 400;
/** How many entries in use are spared in search of one that is not. */
const maxSpared = 8;

/**
 * Answers of other servers until their time runs out. Bounded in number and bytes; the oldest goes first, but one that was
 * used since gets a second round.
 */
export class AnswerCache {
  private readonly entries = new Map<string, CacheEntry>();
  private bytes = 0;
  private negatives = 0;
  evictions = 0;

  constructor(private readonly options: AnswerCacheOptions) {}

  get sizes(): { success: number; denial: number; bytes: number } {
    return { success: this.entries.size - this.negatives, denial: this.negatives, bytes: this.bytes };
  }

  get(key: string, now: number): CacheEntry | undefined {
    const entry = this.entries.get(key);
    if (!entry) return undefined;
    if (entry.expiresAt <= now) {
      this.remove(key, entry);
      return undefined;
    }
    entry.hits++;
    return entry;
  }

  set(key: string, entry: CacheEntry): void {
    const old = this.entries.get(key);
    if (old) this.remove(key, old);
    this.entries.set(key, entry);
    this.bytes += sizeOf(entry);
    if (entry.negative) this.negatives++;
    while (this.entries.size > this.options.maxEntries || this.bytes > this.options.maxBytes) this.evict();
  }

  private evict(): void {
    let spared = 0;
    for (const [key, entry] of this.entries) {
      this.remove(key, entry);
      if (entry.hits === 0 || spared++ >= maxSpared) {
        this.evictions++;
        return;
      }
      entry.hits = 0;
      this.entries.set(key, entry);
      this.bytes += sizeOf(entry);
      if (entry.negative) this.negatives++;
    }
  }

  private remove(key: string, entry: CacheEntry): void {
    this.entries.delete(key);
    this.bytes -= sizeOf(entry);
    if (entry.negative) this.negatives--;
  }
}

function sizeOf({ answer }: CacheEntry): number {
  return answer.bytes.length + answer.marks.length * 8 + entryOverhead;
}
