import type { AddressRanges } from '@naru/foundation';

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

  /** The wished address, or the first free one. Undefined when it is not to be had. */
  allocate(owner: string, wished?: string): string | undefined {
    if (wished !== undefined) return this.occupy(wished, owner) ? wished : undefined;
    for (const address of this.ranges.addresses()) if (this.occupy(address, owner)) return address;
    return undefined;
  }

  release(owner: string): void {
    for (const [address, holder] of this.holders) if (holder === owner) this.holders.delete(address);
  }
}
