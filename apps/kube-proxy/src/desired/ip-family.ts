import net from 'node:net';
import { blockContains, canonicalAddress, familyOf, formatAddress, parseBlock } from '@naru/foundation';

/** As in Service.spec.ipFamilies and EndpointSlice.addressType. */
export type IpFamily = 'IPv4' | 'IPv6';

export const ipFamilies: readonly IpFamily[] = ['IPv4', 'IPv6'];

const numberOf = { IPv4: 4, IPv6: 6 } as const;

export function isIpv6(address: string): boolean {
  return familyOf(address) === 6;
}

/** The address in the one spelling that programs print, such as fd00::1; undefined when it is none of the family. */
export function addressOf(text: string | undefined, family: IpFamily): string | undefined {
  // A zone would be a link of some other machine.
  const isOne = text !== undefined && net.isIP(text) === numberOf[family] && !text.includes('%');
  return isOne ? canonicalAddress(text) : undefined;
}

/** The range, such as 10.0.0.0/8 or fd00::/64; undefined when it is none of the family. */
export function rangeOf(text: string, family: IpFamily): string | undefined {
  const block = parseBlock(text);
  if (block?.family !== numberOf[family]) return undefined;
  return `${formatAddress(block.base, block.family)}/${block.bits}`;
}

export function firstRange(texts: readonly string[], family: IpFamily): string | undefined {
  return texts.map(text => rangeOf(text, family)).find(isDefined);
}

export function isDefined<T>(value: T | undefined): value is T {
  return value !== undefined;
}

/** The range of this address alone. */
export function hostRange(address: string): string {
  return `${address}/${isIpv6(address) ? 128 : 32}`;
}

/** The address and the port of what hostPort made. */
export function splitHostPort(text: string): { address: string; port: number } {
  const at = text.lastIndexOf(':');
  return { address: text.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(text.slice(at + 1)) };
}

/** Loopback addresses: what is sent from them does not leave the machine. */
export const loopback: Readonly<Record<IpFamily, string>> = { IPv4: '127.0.0.0/8', IPv6: '::1/128' };

/** Is the address in one of the ranges? */
export function isWithin(address: string, ranges: readonly string[]): boolean {
  return ranges.some(range => {
    const block = parseBlock(range);
    return block !== undefined && blockContains(block, address);
  });
}
