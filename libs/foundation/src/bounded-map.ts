/** A map of at most `limit` entries: the one that was set longest ago makes room. */
export class BoundedMap<K, V> extends Map<K, V> {
  constructor(private readonly limit: number) {
    super();
  }

  override set(key: K, value: V): this {
    this.delete(key);
    for (const oldest of this.keys()) {
      if (this.size < this.limit) break;
      this.delete(oldest);
    }
    return super.set(key, value);
  }
}
