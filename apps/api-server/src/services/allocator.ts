import { randomInt } from 'node:crypto';

/** Numbers from `first` to `last`; the lowest `reserved` are left to those who ask for them: upstream's static band. */
export interface NumberRange {
  first: bigint;
  last: bigint;
  reserved: bigint;
}

/** Of a wider range only so many numbers are given unasked: more than there can be Services. */
const maxSearched = 2n ** 32n;

/** Hands out numbers of some ranges once each. What is taken is rebuilt from the Services at start. */
export class NumberAllocator {
  private readonly taken = new Map<bigint, string>();

  /** Ranges may be replaced at any time: what was given stays given. */
  constructor(public ranges: readonly NumberRange[]) {}

  includes(value: bigint): boolean {
    return this.ranges.some(({ first, last }) => value >= first && value <= last);
  }

  /** Who holds it. */
  owner(value: bigint): string | undefined {
    return this.taken.get(value);
  }

  /** False when another one holds it. */
  take(value: bigint, owner: string): boolean {
    const current = this.taken.get(value);
    if (current !== undefined && current !== owner) return false;
    this.taken.set(value, owner);
    return true;
  }

  /**
   * A free number of the first range that has one: at random above its reserved ones, then, when those run out, below.
   * Undefined when there is none.
   */
  next(owner: string): bigint | undefined {
    for (const { first, last, reserved } of this.ranges) {
      const found = this.search(first + reserved, last, owner) ?? this.search(first, last, owner);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  release(value: bigint, owner: string): void {
    if (this.taken.get(value) === owner) this.taken.delete(value);
  }

  private search(from: bigint, to: bigint, owner: string): bigint | undefined {
    const all = to - from + 1n;
    if (all <= 0n) return undefined;
    const size = Number(all < maxSearched ? all : maxSearched);
    const start = randomInt(size);
    for (let i = 0; i < size; i++) {
      const value = from + BigInt((start + i) % size);
      if (this.taken.has(value)) continue;
      this.taken.set(value, owner);
      return value;
    }
    return undefined;
  }
}
