import { randomInt } from 'node:crypto';

/** Hands out numbers of a range once each. What is taken is rebuilt from the Services at start. */
export class NumberAllocator {
  private readonly taken = new Map<number, string>();

  /** Picks at random among [first + reserved, last], then, when those run out, below: upstream's static band. */
  constructor(
    private readonly first: number,
    private readonly last: number,
    private readonly reserved: number,
  ) {}

  includes(value: number): boolean {
    return value >= this.first && value <= this.last;
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

  /** A free number, or undefined when there is none. */
  next(owner: string): number | undefined {
    return this.search(this.first + this.reserved, this.last, owner) ?? this.search(this.first, this.last, owner);
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
