/** A binary heap: `pop` answers the item that comes first by `before`. */
export class Heap<T> {
  private readonly items: T[] = [];

  constructor(private readonly before: (a: T, b: T) => boolean) {}

  get size(): number {
    return this.items.length;
  }

  peek(): T | undefined {
    return this.items[0];
  }

  push(item: T): void {
    let i = this.items.push(item) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!this.before(item, this.items[parent] as T)) break;
      this.items[i] = this.items[parent] as T;
      i = parent;
    }
    this.items[i] = item;
  }

  pop(): T | undefined {
    const first = this.items[0];
    const last = this.items.pop();
    if (last === undefined || this.items.length === 0) return first;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= this.items.length) break;
      if (child + 1 < this.items.length && this.before(this.items[child + 1] as T, this.items[child] as T)) child++;
      if (!this.before(this.items[child] as T, last)) break;
      this.items[i] = this.items[child] as T;
      i = child;
    }
    this.items[i] = last;
    return first;
  }
}
