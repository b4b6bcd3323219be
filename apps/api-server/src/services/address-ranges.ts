import { blockSize, parseBlock } from '@naru/foundation';
import type { ServiceCIDR } from '@naru/api';
import type { NumberRange } from './allocator';

/** The longest and shortest prefixes that Services can have addresses of. */
const prefixes = { 4: [8, 30], 6: [64, 126] } as const;
const staticShare = 16n;

/** Addresses below this index of the range are left to those who ask for them: the api-server's own, the DNS's. */
function staticBand(size: bigint): bigint {
  const share = size / staticShare;
  return share < 16n ? 16n : share > 256n ? 256n : share;
}

/** Its usable addresses: without the network's and, of IPv4, the broadcast address. Throws for what Services cannot have. */
export function addressRange(cidr: string): NumberRange {
  const block = parseBlock(cidr);
  const [shortest, longest] = prefixes[block?.family ?? 4];
  if (!block || block.bits < shortest || block.bits > longest)
    throw new Error(
      `Cannot parse CIDR ${cidr}: want a block of IPv4 between /8 and /30 or of IPv6 between /64 and /126`,
    );
  const first = block.base + 1n;
  const last = block.base + blockSize(block) - (block.family === 4 ? 2n : 1n);
  return { first, last, reserved: staticBand(last - first + 1n) };
}

/** The blocks that users add to the cluster's own: ready, and not on their way out. In the order of their names. */
export function extraRanges(objects: readonly ServiceCIDR[], own: readonly string[]): string[] {
  const usable = objects.filter(
    ({ metadata, status }) =>
      !metadata?.deletionTimestamp &&
      status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True'),
  );
  const cidrs = usable.flatMap(({ spec }) => spec?.cidrs ?? []).filter(cidr => !own.includes(cidr) && isRange(cidr));
  return [...new Set(cidrs)];
}

function isRange(cidr: string): boolean {
  try {
    addressRange(cidr);
    return true;
  } catch {
    return false;
  }
}
