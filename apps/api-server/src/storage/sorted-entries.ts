import type { Entry } from './entry';

/** Entries by key, and in key order. Inserting moves the tail of one array, which is fast up to hundreds of thousands. */
export class SortedEntries {
  private readonly byKey = new Map<string, Entry>();
  private readonly keys: string[] = [];

  get size(): number {
    return this.byKey.size;
  }

  get(key: string): Entry | undefined {
    return this.byKey.get(key);
  }

  set(entry: Entry): void {
    if (!this.byKey.has(entry.key)) {
      const last = this.keys.at(-1);
      // Loading at start arrives in order.
      if (last === undefined || last < entry.key) this.keys.push(entry.key);
      else this.keys.splice(this.position(entry.key), 0, entry.key);
    }
    this.byKey.set(entry.key, entry);
  }

  delete(key: string): void {
    if (!this.byKey.delete(key)) return;
    this.keys.splice(this.position(key), 1);
  }

  /** Those of one namespace, or all with "". */
  list(namespace: string): Entry[] {
    let from = 0;
    let to = this.keys.length;
    if (namespace !== '') {
      from = this.position(`${namespace}/`);
      // "0" is the character after "/".
      to = this.position(`${namespace}0`);
    }
    const entries: Entry[] = new Array<Entry>(to - from);
    for (let i = from; i < to; i++) entries[i - from] = this.byKey.get(this.keys[i]!)!;
    return entries;
  }

  /** Index of the first key that is not before `key`. */
  private position(key: string): number {
    let low = 0;
    let high = this.keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.keys[middle]! < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
