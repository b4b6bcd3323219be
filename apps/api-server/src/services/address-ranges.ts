import type { ServiceCIDR } from '@naru/api';
import type { NumberRange } from './allocator';
import { parseCidr } from './cidr';

/** Addresses below this index of the range are left to those who ask for them: the api-server's own, the DNS's. */
function staticBand(size: number): number {
  return Math.min(Math.max(16, Math.floor(size / 16)), 256);
}

/** Throws for what Services cannot have addresses of. */
export function addressRange(cidr: string): NumberRange {
  const { first, last } = parseCidr(cidr);
  return { first, last, reserved: staticBand(last - first + 1) };
}

/** The blocks that users add to the cluster's own: IPv4, ready, and not on their way out. In the order of their names. */
export function extraRanges(objects: readonly ServiceCIDR[], own: string): string[] {
  const usable = objects.filter(
    ({ metadata, status }) =>
      !metadata?.deletionTimestamp &&
      status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True'),
  );
  const cidrs = usable.flatMap(({ spec }) => spec?.cidrs ?? []).filter(cidr => cidr !== own && isRange(cidr));
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
