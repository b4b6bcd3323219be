export interface ShareLimits {
  /** Of all clients together. */
  connections: number;
  /** Of one client. */
  perClient: number;
}

/**
 * Bounds connections so that no client keeps others from theirs. A new one always gets in: what makes room is the one used least lately, of
 * the same client when that has its share already, else of the client that has the most. Many pods may be one client, for what
 * leaves the pod network has the address of its node.
 */
export class ConnectionShares<C> {
  /** Client → its connections, the one used least lately first. */
  private readonly clients = new Map<string, Set<C>>();
  private count = 0;

  constructor(private readonly limits: ShareLimits) {}

  /** Answers the connection that has to make room; it counts no more. */
  add(client: string, connection: C): C | undefined {
    const own = this.clients.get(client) ?? new Set();
    this.clients.set(client, own);
    own.add(connection);
    this.count++;
    if (own.size > this.limits.perClient) return this.takeOldest(client);
    return this.count > this.limits.connections ? this.takeOldest(this.greatest()) : undefined;
  }

  /** The connection is in use. */
  touch(client: string, connection: C): void {
    const own = this.clients.get(client);
    if (own?.delete(connection)) own.add(connection);
  }

  /** Harmless when it counts no more. */
  delete(client: string, connection: C): void {
    const own = this.clients.get(client);
    if (!own?.delete(connection)) return;
    this.count--;
    if (own.size === 0) this.clients.delete(client);
  }

  *[Symbol.iterator](): Iterator<C> {
    for (const own of this.clients.values()) yield* own;
  }

  private takeOldest(client: string): C | undefined {
    const [oldest] = this.clients.get(client) ?? [];
    if (oldest !== undefined) this.delete(client, oldest);
    return oldest;
  }

  private greatest(): string {
    let found = '';
    let most = 0;
    for (const [client, { size }] of this.clients) {
      if (size <= most) continue;
      most = size;
      found = client;
    }
    return found;
  }
}
