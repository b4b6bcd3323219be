import { isIP } from 'node:net';

export type IpFamily = 4 | 6;

/** How long an address of the family is. */
export const addressBits = { 4: 32, 6: 128 } as const;

/** A block of addresses: its first one, and how many leading bits all of them share. */
export interface IpBlock {
  family: IpFamily;
  base: bigint;
  bits: number;
  /** The address before the slash is the block's first one. */
  isCanonical: boolean;
}

/** Of an address that is one. */
export function familyOf(address: string): IpFamily {
  return address.includes(':') ? 6 : 4;
}

/** Undefined for what is not ADDRESS/LENGTH. */
export function parseBlock(text: string): IpBlock | undefined {
  const [, address = '', length = ''] = /^([^/%]+)\/(\d{1,3})$/.exec(text) ?? [];
  const family = isIP(address) as 0 | IpFamily;
  const bits = Number(length);
  if (family === 0 || bits > addressBits[family] || (length.length > 1 && length.startsWith('0'))) return undefined;
  const host = BigInt(addressBits[family] - bits);
  const value = addressValue(address);
  const base = (value >> host) << host;
  return { family, base, bits, isCanonical: base === value };
}

/** @throws Error for what is not the first address of a block, or not a block at all. */
export function parseNetwork(text: string): IpBlock {
  const block = parseBlock(text);
  if (!block) throw new Error(`Cannot parse CIDR "${text}": want ADDRESS/LENGTH`);
  if (!block.isCanonical) throw new Error(`Cannot parse CIDR "${text}": the address has host bits set`);
  return block;
}

/**
 * One range or one of each family, separated by a comma, as upstream's flags take them.
 * @throws Error that names what is wrong.
 */
export function parseDualNetworks(text: string): string[] {
  const networks = text.split(',').map(part => part.trim());
  const families = networks.map(network => parseNetwork(network).family);
  if (new Set(families).size !== families.length)
    throw new Error(`Cannot use ${text}: want one range, or two of which one is IPv4 and one is IPv6`);
  return networks;
}

/** How many addresses a block has. */
export function blockSize({ family, bits }: IpBlock): bigint {
  return 1n << BigInt(addressBits[family] - bits);
}

export function blockContains(block: IpBlock, address: string): boolean {
  if (familyOf(address) !== block.family) return false;
  const host = BigInt(addressBits[block.family] - block.bits);
  return addressValue(address) >> host === block.base >> host;
}

/** Whether there is an address that both have. */
export function blocksOverlap(a: IpBlock, b: IpBlock): boolean {
  const [wide, narrow] = a.bits <= b.bits ? [a, b] : [b, a];
  return blockContains(wide, formatAddress(narrow.base, narrow.family));
}

/** Of an address that `isIP` knows. */
export function addressValue(address: string): bigint {
  if (isIP(address) === 4) return address.split('.').reduce((value, part) => (value << 8n) | BigInt(part), 0n);
  const [head = '', tail] = address.split('::');
  const left = groupsOf(head);
  const right = groupsOf(tail ?? '');
  const zeros = Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => 0n);
  return [...left, ...zeros, ...right].reduce((value, group) => (value << 16n) | group, 0n);
}

function groupsOf(text: string): bigint[] {
  if (text === '') return [];
  return text.split(':').flatMap(part => {
    if (!part.includes('.')) return [BigInt(`0x${part}`)];
    const value = addressValue(part);
    return [value >> 16n, value & 0xffffn];
  });
}

/** In canonical form (RFC 5952). */
export function formatAddress(value: bigint, family: IpFamily): string {
  const [count, width, radix, separator] = family === 4 ? [4, 8n, 10, '.'] : [8, 16n, 16, ':'];
  const mask = (1n << width) - 1n;
  const parts = Array.from({ length: count }, (_, i) =>
    ((value >> (width * BigInt(count - 1 - i))) & mask).toString(radix),
  );
  return canonicalAddress(parts.join(separator));
}

/** An IPv6 address has many spellings: this is the one of RFC 5952. What is no IPv6 address is as it was. */
export function canonicalAddress(address: string): string {
  return isIP(address) === 6 && !address.includes('%')
    ? new URL(`http://[${address}]/`).hostname.slice(1, -1)
    : address;
}

/** `10.0.0.1:80`, `a.example:80` or `[fd00::1]:80`. */
export function hostPort(host: string, port: number | string): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
