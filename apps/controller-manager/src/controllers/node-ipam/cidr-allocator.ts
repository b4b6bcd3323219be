/** "10.244.0.0/16" as numbers. Throws an Error for what is not an IPv4 range in canonical form. */
export function parseCidr(cidr: string): { base: number; prefix: number } {
  const [, address = '', bits = ''] = /^(\d{1,3}(?:\.\d{1,3}){3})\/(\d{1,2})$/.exec(cidr) ?? [];
  const octets = address.split('.').map(Number);
  const prefix = Number(bits);
  if (octets.length !== 4 || octets.some(octet => octet > 255) || bits === '' || prefix > 32)
    throw new Error(`Cannot parse CIDR "${cidr}": not an IPv4 range`);
  const base = octets.reduce((value, octet) => value * 256 + octet, 0);
  if (base % 2 ** (32 - prefix) !== 0) throw new Error(`Cannot parse CIDR "${cidr}": the address has host bits set`);
  return { base, prefix };
}

function format(address: number): string {
  return [24, 16, 8, 0].map(shift => Math.floor(address / 2 ** shift) % 256).join('.');
}

/** Hands out the subnets of a range, each to one owner. */
export class CidrAllocator {
  private readonly base: number;
  private readonly size: number;
  /** How many subnets there are. */
  readonly capacity: number;
  private readonly owners = new Map<number, string>();
  private next = 0;

  constructor(
    cidr: string,
    private readonly mask: number,
  ) {
    const { base, prefix } = parseCidr(cidr);
    if (mask < prefix || mask > 30)
      throw new Error(`Cannot cut /${mask} subnets out of ${cidr}: the mask must be between ${prefix} and 30`);
    this.base = base;
    this.size = 2 ** (32 - mask);
    this.capacity = 2 ** (mask - prefix);
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

  /** The next free subnet, going round, so that a released one is not reused at once. Undefined when none is left. */
  allocate(owner: string): string | undefined {
    for (let i = 0; i < this.capacity; i++) {
      const index = (this.next + i) % this.capacity;
      if (this.owners.has(index)) continue;
      this.owners.set(index, owner);
      this.next = (index + 1) % this.capacity;
      return `${format(this.base + index * this.size)}/${this.mask}`;
    }
    return undefined;
  }

  release(owner: string): void {
    for (const [index, holder] of this.owners) if (holder === owner) this.owners.delete(index);
  }

  private indexOf(cidr: string): number | undefined {
    const { base, prefix } = parseCidr(cidr);
    const index = (base - this.base) / this.size;
    return prefix === this.mask && Number.isInteger(index) && index >= 0 && index < this.capacity ? index : undefined;
  }
}
