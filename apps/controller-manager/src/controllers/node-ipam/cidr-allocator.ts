import {
  addressBits,
  blockSize,
  blocksOverlap,
  formatAddress,
  parseBlock,
  parseNetwork,
  type IpBlock,
} from '@naru/foundation';

/** Upstream's bound: more subnets than this are not told apart. */
const maxSubnetBits = 16;

/** Hands out the subnets of a range, each to one owner. */
export class CidrAllocator {
  private readonly range: IpBlock;
  private readonly size: bigint;
  /** How many subnets there are. */
  readonly capacity: number;
  private readonly owners = new Map<number, string>();
  private readonly withheld: IpBlock[] = [];
  private next = 0;

  /** Throws an Error for what is no range in canonical form, or cannot be cut so. */
  constructor(
    cidr: string,
    private readonly mask: number,
  ) {
    this.range = parseNetwork(cidr);
    const { family, bits } = this.range;
    const longest = Math.min(addressBits[family] - 2, bits + maxSubnetBits);
    if (mask < bits || mask > longest)
      throw new Error(`Cannot cut /${mask} subnets out of ${cidr}: the mask must be between ${bits} and ${longest}`);
    this.size = blockSize({ ...this.range, bits: mask });
    this.capacity = 2 ** (mask - bits);
  }

  /** Marks a subnet as taken; false when another owner has it. A range from elsewhere is none of our business: true. */
  occupy(cidr: string, owner: string): boolean {
    const index = this.indexOf(cidr);
    if (index === undefined) return true;
    const holder = this.owners.get(index);
    if (holder !== undefined && holder !== owner) return false;
    this.owners.set(index, owner);
    return true;
  }

  /** Subnets that share addresses with this network are not given. Of no effect on one from elsewhere. */
  withhold(network: string): void {
    this.withheld.push(parseNetwork(network));
  }

  /** The next free subnet, going round, so that a released one is not reused at once. Undefined when none is left. */
  allocate(owner: string): string | undefined {
    for (let i = 0; i < this.capacity; i++) {
      const index = (this.next + i) % this.capacity;
      if (this.owners.has(index)) continue;
      const subnet = this.subnet(index);
      if (this.withheld.some(block => blocksOverlap(block, subnet))) continue;
      this.owners.set(index, owner);
      this.next = (index + 1) % this.capacity;
      return `${formatAddress(subnet.base, subnet.family)}/${this.mask}`;
    }
    return undefined;
  }

  release(owner: string): void {
    for (const [index, holder] of this.owners) if (holder === owner) this.owners.delete(index);
  }

  private subnet(index: number): IpBlock {
    return { ...this.range, base: this.range.base + BigInt(index) * this.size, bits: this.mask };
  }

  private indexOf(cidr: string): number | undefined {
    const block = parseBlock(cidr);
    if (block?.family !== this.range.family || block.bits !== this.mask || block.base < this.range.base)
      return undefined;
    const index = Number((block.base - this.range.base) / this.size);
    return index < this.capacity ? index : undefined;
  }
}
