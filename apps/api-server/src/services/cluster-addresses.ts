import { addressValue, familyOf, formatAddress, parseDualNetworks, StatusError } from '@naru/foundation';
import { invalid, invalidObject, services, type Service, type ServiceCIDR } from '@naru/api';
import type { AddressClaims } from './address-claims';
import { addressRange, extraRanges } from './address-ranges';
import { NumberAllocator } from './allocator';
import { familyName, type Family } from './service-families';

interface Pool {
  allocator: NumberAllocator;
  /** Blocks that addresses are of, the cluster's own first. */
  cidrs: readonly string[];
}

/** The cluster addresses of Services: one pool for each family that the cluster has. */
export class ClusterAddresses {
  /** The cluster's own ranges: that of its first family, and perhaps that of its second. */
  readonly own: readonly string[];
  readonly families: readonly Family[];
  private readonly pools: ReadonlyMap<Family, Pool>;

  /** `ranges`: "10.96.0.0/16" or "10.96.0.0/16,fd00:10:96::/112". */
  constructor(
    ranges: string,
    private readonly claims: AddressClaims,
  ) {
    this.own = parseDualNetworks(ranges);
    this.families = this.own.map(familyName);
    this.pools = new Map(
      this.own.map(cidr => [familyName(cidr), { allocator: new NumberAllocator([addressRange(cidr)]), cidrs: [cidr] }]),
    );
  }

  /** The first of the first range: the Service `kubernetes`. */
  get apiServerAddress(): string {
    const [cidr = ''] = this.own;
    return formatAddress(addressRange(cidr).first, familyOf(cidr));
  }

  /** Addresses are of the cluster's own ranges and of every other that is ready. */
  followRanges(objects: readonly ServiceCIDR[]): void {
    const all = [...this.own, ...extraRanges(objects, this.own)];
    for (const [family, pool] of this.pools) {
      pool.cidrs = all.filter(cidr => familyName(cidr) === family);
      pool.allocator.ranges = pool.cidrs.map(addressRange);
    }
  }

  /** False when another one holds it. An address of a family that the cluster no longer has is nobody's. */
  take(address: string, owner: string): boolean {
    return this.pools.get(familyName(address))?.allocator.take(addressValue(address), owner) ?? true;
  }

  release(address: string, owner: string): void {
    this.pools.get(familyName(address))?.allocator.release(addressValue(address), owner);
  }

  /** Takes an address that a Service asks for. Throws when it is not to be had. */
  reserve(service: Service, address: string, owner: string): void {
    const pool = this.poolOf(familyName(address));
    const value = addressValue(address);
    const wrong = (why: string): StatusError =>
      invalidObject(services, service.metadata?.name ?? '', [
        invalid('spec.clusterIPs', service.spec?.clusterIPs ?? [address], `failed to allocate IP ${address}: ${why}`),
      ]);
    if (!pool.allocator.includes(value))
      throw wrong(
        `the provided IP (${address}) is not in the valid range. The range of valid IPs is ${pool.cidrs.join(', ')}`,
      );
    if (pool.allocator.owner(value) !== undefined || this.claims.holds(address))
      throw wrong('provided IP is already allocated');
    pool.allocator.take(value, owner);
  }

  /** Takes any address of the family. Throws when there is none left. */
  next(family: Family, owner: string): string {
    const { allocator } = this.poolOf(family);
    for (;;) {
      const next = allocator.next(owner);
      if (next === undefined)
        throw new StatusError(
          'InternalError',
          'Internal error occurred: failed to allocate a serviceIP: range is full',
        );
      const address = formatAddress(next, family === 'IPv6' ? 6 : 4);
      // An IPAddress that a user made for something else: it stays taken here.
      if (!this.claims.holds(address)) return address;
    }
  }

  private poolOf(family: Family): Pool {
    const pool = this.pools.get(family);
    if (!pool) throw new StatusError('InternalError', `Internal error occurred: no ${family} on this cluster`);
    return pool;
  }
}
