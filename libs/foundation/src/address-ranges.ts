/** A set of IPv4 addresses, as `10.0.0.200-10.0.0.239,192.0.2.0/28`. */
export class AddressRanges {
  private constructor(private readonly ranges: readonly { first: number; last: number }[]) {}

  /** Throws an Error that names the part that is not a range. The text may be empty. */
  static parse(text: string): AddressRanges {
    return new AddressRanges(
      text
        .split(',')
        .map(part => part.trim())
        .filter(Boolean)
        .map(parseRange),
    );
  }

  get isEmpty(): boolean {
    return this.ranges.length === 0;
  }

  contains(address: string): boolean {
    const number = parseIpv4(address);
    return number !== undefined && this.ranges.some(({ first, last }) => first <= number && number <= last);
  }

  /** In order; as many as there are. */
  *addresses(): Iterable<string> {
    for (const { first, last } of this.ranges) {
      for (let number = first; number <= last; number++) yield formatIpv4(number);
    }
  }
}

function parseRange(text: string): { first: number; last: number } {
  const [from = '', to] = text.split('-');
  const [address = '', length] = from.split('/');
  const first = parseIpv4(address);
  const size =
    length !== undefined && /^\d{1,2}$/.test(length) && Number(length) <= 32 ? 2 ** (32 - Number(length)) : 1;
  const last = to === undefined ? (first ?? 0) + size - 1 : parseIpv4(to);
  const valid =
    first !== undefined && last !== undefined && first <= last && first % (to === undefined ? size : 1) === 0;
  if (!valid || (length !== undefined && (to !== undefined || (size === 1 && length !== '32')))) {
    throw new Error(`Cannot parse address range "${text}": neither FIRST-LAST nor ADDRESS/LENGTH of IPv4`);
  }
  return { first, last };
}

function parseIpv4(text: string): number | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every(part => /^\d{1,3}$/.test(part) && Number(part) <= 255)) return undefined;
  return parts.reduce((value, part) => value * 256 + Number(part), 0);
}

function formatIpv4(value: number): string {
  return [24, 16, 8, 0].map(shift => Math.floor(value / 2 ** shift) % 256).join('.');
}
