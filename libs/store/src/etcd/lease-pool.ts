import type { etcd } from '@naru/proto';
import type { Endpoints } from './endpoints';

/** Keys that are written within this time share a lease, which lasts that much longer. */
const reuseMs = 60_000;
const maxKeys = 1000;

interface Shared {
  id: Promise<bigint>;
  until: number;
  keys: number;
}

/** Leases for keys that go by themselves: few leases for many keys, as upstream's api-server has them. */
export class LeasePool {
  private readonly byTtl = new Map<number, Shared>();

  constructor(private readonly endpoints: Endpoints) {}

  /** The id of a lease that lasts at least `ttlSeconds`. */
  async lease(ttlSeconds: number): Promise<bigint> {
    const known = this.byTtl.get(ttlSeconds);
    if (known && known.until > Date.now() && known.keys < maxKeys) {
      known.keys++;
      return known.id;
    }
    // Short ones are not made much longer by being shared.
    const extraMs = Math.min(reuseMs, ttlSeconds * 1000);
    const granted = this.grant(ttlSeconds + Math.ceil(extraMs / 1000));
    const shared: Shared = { id: granted, until: Date.now() + extraMs, keys: 1 };
    this.byTtl.set(ttlSeconds, shared);
    try {
      return await granted;
    } catch (error) {
      if (this.byTtl.get(ttlSeconds) === shared) this.byTtl.delete(ttlSeconds);
      throw error;
    }
  }

  private async grant(seconds: number): Promise<bigint> {
    const request: etcd.LeaseGrantRequest = { TTL: BigInt(seconds) };
    const reply = await this.endpoints.call(({ lease }) => lease.leaseGrant.bind(lease), request);
    return reply.ID;
  }
}
