import { isIP } from 'node:net';
import { invalid, required, type FieldError } from './field-error';

/** A block of addresses: its first one, and how many leading bits all of them share. */
export interface Cidr {
  family: 4 | 6;
  base: bigint;
  bits: number;
  /** The address before the slash is the block's first one. */
  isCanonical: boolean;
}

const widths = { 4: 32, 6: 128 } as const;
export const ipMessage = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';
export const cidrMessage = 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)';

/** Undefined for what is not a CIDR. */
export function parseCidr(text: string): Cidr | undefined {
  const [, address = '', length = ''] = /^([^/%]+)\/(\d{1,3})$/.exec(text) ?? [];
  const family = isIP(address) as 0 | 4 | 6;
  const bits = Number(length);
  if (family === 0 || bits > widths[family] || (length.length > 1 && length.startsWith('0'))) return undefined;
  const host = BigInt(widths[family] - bits);
  const value = addressValue(address);
  const base = (value >> host) << host;
  return { family, base, bits, isCanonical: base === value };
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

/** True when every address of `inner` is one of `outer`, and not the other way round. */
export function isStrictSubset(inner: Cidr, outer: Cidr): boolean {
  if (inner.family !== outer.family || inner.bits <= outer.bits) return false;
  const host = BigInt(widths[outer.family] - outer.bits);
  return inner.base >> host === outer.base >> host;
}

export function validateCidr(text: string | undefined, path: string, errors: FieldError[]): Cidr | undefined {
  if (!text) errors.push(required(path));
  const cidr = parseCidr(text ?? '');
  if (text && !cidr) errors.push(invalid(path, text, cidrMessage));
  return cidr;
}
