/** What is to come and to go. */
export interface EntryChanges {
  readonly come: readonly string[];
  readonly gone: readonly string[];
}

/** Entries that several ports may have in common: one is there while any of them has it. */
export class SharedEntries implements Iterable<string> {
  private readonly owners = new Map<string, number>();
  /** Those of which owners came or went since the last `takeChanges`, and whether they were there then. */
  private readonly touched = new Map<string, boolean>();

  add(entry: string): void {
    this.count(entry, 1);
  }

  /** Of an owner that has added it. */
  remove(entry: string): void {
    this.count(entry, -1);
  }

  has(entry: string): boolean {
    return this.owners.has(entry);
  }

  [Symbol.iterator](): Iterator<string> {
    return this.owners.keys();
  }

  /** What is there now and was not at the last time, and the reverse. Takes as long as there are changes. */
  takeChanges(): EntryChanges {
    const come: string[] = [];
    const gone: string[] = [];
    for (const [entry, wasThere] of this.touched) {
      if (this.has(entry) !== wasThere) (wasThere ? gone : come).push(entry);
    }
    this.touched.clear();
    return { come, gone };
  }

  private count(entry: string, by: 1 | -1): void {
    const owners = this.owners.get(entry) ?? 0;
    if (!this.touched.has(entry)) this.touched.set(entry, owners > 0);
    if (owners + by > 0) this.owners.set(entry, owners + by);
    else this.owners.delete(entry);
  }
}
