import { randomInt } from 'node:crypto';

/** Numbers from `first` to `last`; the lowest `reserved` are left to those who ask for them: upstream's static band. */
export interface NumberRange {
  first: number;
  last: number;
  reserved: number;
}

/** Hands out numbers of some ranges once each. What is taken is rebuilt from the Services at start. */
export class NumberAllocator {
  private readonly taken = new Map<number, string>();

  /** Ranges may be replaced at any time: what was given stays given. */
  constructor(public ranges: readonly NumberRange[]) {}

  includes(value: number): boolean {
    return this.ranges.some(({ first, last }) => value >= first && value <= last);
  }

  /** Who holds it. */
  owner(value: number): string | undefined {
    return this.taken.get(value);
  }

  /** False when another one holds it. */
  take(value: number, owner: string): boolean {
    const current = this.taken.get(value);
    if (current !== undefined && current !== owner) return false;
    this.taken.set(value, owner);
    return true;
  }

  /**
   * A free number of the first range that has one: at random above its reserved ones, then, when those run out, below.
   * Undefined when there is none.
   */
  next(owner: string): number | undefined {
    for (const { first, last, reserved } of this.ranges) {
      const found = this.search(first + reserved, last, owner) ?? this.search(first, last, owner);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  release(value: number, owner: string): void {
    if (this.taken.get(value) === owner) this.taken.delete(value);
  }

  private search(from: number, to: number, owner: string): number | undefined {
    const size = to - from + 1;
    if (size <= 0) return undefined;
    const start = randomInt(size);
    for (let i = 0; i < size; i++) {
      const value = from + ((start + i) % size);
      if (this.taken.has(value)) continue;
      this.taken.set(value, owner);
      return value;
    }
    return undefined;
  }
}
