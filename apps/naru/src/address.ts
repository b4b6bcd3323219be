/** IPv4 arithmetic on numbers, and the addresses of a cluster's nodes. */

export interface Cidr {
  /** The network's first address. */
  base: number;
  /** Prefix length. */
  bits: number;
}

function parseAddress(text: string): number {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every(part => /^\d{1,3}$/.test(part) && Number(part) < 256))
    throw new Error(`Cannot parse address ${text}: expected four numbers below 256`);
  return parts.reduce((value, part) => value * 256 + Number(part), 0);
}

function formatAddress(value: number): string {
  return [24, 16, 8, 0].map(shift => Math.floor(value / 2 ** shift) % 256).join('.');
}

/** Throws when it is no IPv4 network or has host bits set. */
export function parseCidr(text: string): Cidr {
  const [address = '', length = ''] = text.split('/');
  const bits = Number(length);
  if (!/^\d+$/.test(length) || bits > 32) throw new Error(`Cannot parse network ${text}: expected ADDRESS/0-32`);
  const base = parseAddress(address);
  if (base % 2 ** (32 - bits) !== 0) throw new Error(`Cannot parse network ${text}: the address has host bits set`);
  return { base, bits };
}

/** The address at `offset` in the network. Throws when the network is too small. */
export function addressAt(network: string, offset: number): string {
  const { base, bits } = parseCidr(network);
  if (offset >= 2 ** (32 - bits) - 1) throw new Error(`Network ${network} has no address number ${offset}`);
  return formatAddress(base + offset);
}

export function overlaps(first: string, second: string): boolean {
  const [a, b] = [parseCidr(first), parseCidr(second)];
  const size = 2 ** (32 - Math.min(a.bits, b.bits));
  return Math.floor(a.base / size) === Math.floor(b.base / size);
}

/** The machine itself is .1; nodes begin at .11, so that there is room to tell them apart by eye. */
export const hostOffset = 1;
const firstNodeOffset = 11;

/** The lowest node address that nobody uses. Throws when there is none left. */
export function allocateAddress(network: string, used: Iterable<string>): string {
  const taken = new Set(used);
  for (let offset = firstNodeOffset; ; offset++) {
    const address = addressAt(network, offset);
    if (!taken.has(address)) return address;
  }
}
