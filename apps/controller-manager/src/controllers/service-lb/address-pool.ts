import type { AddressRanges, IpFamily } from '@naru/foundation';

/** Addresses that are given to one owner each. */
export class AddressPool {
  private readonly holders = new Map<string, string>();

  constructor(private readonly ranges: AddressRanges) {}

  holder(address: string): string | undefined {
    return this.holders.get(address);
  }

  /** Takes this address; false when it is another's or none of the pool. */
  occupy(address: string, owner: string): boolean {
    const holder = this.holders.get(address);
    if (!this.ranges.contains(address) || (holder !== undefined && holder !== owner)) return false;
    this.holders.set(address, owner);
    return true;
  }

  /** Are there any of the family, free or not? */
  has(family: IpFamily): boolean {
    return !this.ranges.addresses(family)[Symbol.iterator]().next().done;
  }

  /** The wished address, or the first free one of the family. Undefined when it is not to be had. */
  allocate(owner: string, family: IpFamily, wished?: string): string | undefined {
    if (wished !== undefined) return this.occupy(wished, owner) ? wished : undefined;
    for (const address of this.ranges.addresses(family)) if (this.occupy(address, owner)) return address;
    return undefined;
  }

  release(owner: string): void {
    for (const [address, holder] of this.holders) if (holder === owner) this.holders.delete(address);
  }
}
