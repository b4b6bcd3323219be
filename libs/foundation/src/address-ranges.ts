import { isIP } from 'node:net';
import { addressValue, blockSize, familyOf, formatAddress, parseBlock, type IpFamily } from './ip';

interface Range {
  family: IpFamily;
  first: bigint;
  last: bigint;
}

/** A set of addresses, as `10.0.0.200-10.0.0.239,192.0.2.0/28,fd00::200/120`. */
export class AddressRanges {
  private constructor(private readonly ranges: readonly Range[]) {}

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
    if (isIP(address) === 0) return false;
    const value = addressValue(address);
    return this.of(familyOf(address)).some(({ first, last }) => first <= value && value <= last);
  }

  /** Of one family, in order; as many as there are. */
  *addresses(family: IpFamily): Iterable<string> {
    for (const { first, last } of this.of(family))
      for (let value = first; value <= last; value++) yield formatAddress(value, family);
  }

  private of(family: IpFamily): Range[] {
    return this.ranges.filter(range => range.family === family);
  }
}

function parseRange(text: string): Range {
  const range = text.includes('/') ? blockRange(text) : spanOf(text);
  if (range) return range;
  throw new Error(`Cannot parse address range "${text}": neither FIRST-LAST nor ADDRESS/LENGTH`);
}

function blockRange(text: string): Range | undefined {
  const block = parseBlock(text);
  if (!block?.isCanonical) return undefined;
  return { family: block.family, first: block.base, last: block.base + blockSize(block) - 1n };
}

/** FIRST-LAST, or one address. */
function spanOf(text: string): Range | undefined {
  const [from = '', to = from] = text.split('-');
  if (isIP(from) === 0 || isIP(from) !== isIP(to)) return undefined;
  const [first, last] = [addressValue(from), addressValue(to)];
  return first <= last ? { family: familyOf(from), first, last } : undefined;
}
