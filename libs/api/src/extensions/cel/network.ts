import { isIP, isIPv6 } from 'node:net';
import type { Environment } from '@marcbachmann/cel-js';
import { addressBits, addressValue, canonicalAddress, formatAddress, parseBlock } from '@naru/foundation';
import { isCidr } from '../formats';
import { checked } from './checked';

class IpAddress {
  constructor(readonly text: string) {}
}
class Cidr {
  constructor(readonly text: string) {}
}
class IpNamespace {}

const notGlobal = [
  '0.0.0.0/32',
  '255.255.255.255/32',
  '127.0.0.0/8',
  '224.0.0.0/4',
  '169.254.0.0/16',
  '::/128',
  '::1/128',
  'ff00::/8',
  'fe80::/10',
];

/** The network of a CIDR, its host bits zero. */
function masked(text: string): string {
  const { base, family, bits } = parseBlock(text)!;
  return `${formatAddress(base, family)}/${bits}`;
}

function contains(network: string, inner: string): boolean {
  const outer = parseBlock(network)!;
  const [address = '', prefix] = inner.split('/');
  const width = isIPv6(address) ? addressBits[6] : addressBits[4];
  if (width !== addressBits[outer.family] || Number(prefix ?? width) < outer.bits) return false;
  const host = BigInt(width - outer.bits);
  return addressValue(address) >> host === outer.base >> host;
}

/** Whether an address has the first `prefix` bits of `network`. */
function isIn(address: string, ...networks: string[]): boolean {
  return networks.some(network => contains(network, address));
}

/** The types and functions of upstream's ip and cidr libraries. */
export function registerNetwork(env: Environment): void {
  env
    .registerType('net.IP', IpAddress)
    .registerType('net.CIDR', Cidr)
    .registerType('IpNamespace', IpNamespace)
    .registerConstant('ip', 'IpNamespace', new IpNamespace())
    .registerFunction('IpNamespace.isCanonical(string): bool', (_: unknown, text: string) =>
      checked(
        isIP(text) !== 0,
        () => canonicalAddress(text) === text,
        `IP Address '${text}' parse error during conversion from string`,
      ),
    )
    .registerFunction('string(net.IP): string', ({ text }: IpAddress) => canonicalAddress(text))
    .registerFunction('string(net.CIDR): string', ({ text }: Cidr) => text)
    .registerFunction('net.IP.isLinkLocalUnicast(): bool', ({ text }: IpAddress) =>
      isIn(text, '169.254.0.0/16', 'fe80::/10'),
    )
    .registerFunction('net.IP.isLinkLocalMulticast(): bool', ({ text }: IpAddress) =>
      isIn(text, '224.0.0.0/24', 'ff02::/16'),
    )
    .registerFunction('net.IP.isGlobalUnicast(): bool', ({ text }: IpAddress) => !isIn(text, ...notGlobal))
    .registerFunction('net.CIDR.masked(): net.CIDR', ({ text }: Cidr) => new Cidr(masked(text)))
    .registerFunction('isIP(string): bool', (text: string) => isIP(text) !== 0)
    .registerFunction('ip(string): net.IP', (text: string) =>
      checked(
        isIP(text) !== 0,
        () => new IpAddress(text),
        `IP Address '${text}' parse error during conversion from string`,
      ),
    )
    .registerFunction('net.IP.family(): int', ({ text }: IpAddress) => (isIPv6(text) ? 6n : 4n))
    .registerFunction('net.IP.isLoopback(): bool', ({ text }: IpAddress) => /^127\.|^::1$/.test(text))
    .registerFunction('net.IP.isUnspecified(): bool', ({ text }: IpAddress) => text === '0.0.0.0' || text === '::')
    .registerFunction('isCIDR(string): bool', isCidr)
    .registerFunction('cidr(string): net.CIDR', (text: string) =>
      checked(isCidr(text), () => new Cidr(text), `network address parse error during conversion from string: ${text}`),
    )
    .registerFunction('net.CIDR.containsIP(string): bool', (c: Cidr, address: string) => contains(c.text, address))
    .registerFunction('net.CIDR.containsIP(net.IP): bool', (c: Cidr, a: IpAddress) => contains(c.text, a.text))
    .registerFunction('net.CIDR.containsCIDR(string): bool', (c: Cidr, other: string) => contains(c.text, other))
    .registerFunction('net.CIDR.containsCIDR(net.CIDR): bool', (c: Cidr, o: Cidr) => contains(c.text, o.text))
    .registerFunction('net.CIDR.prefixLength(): int', (c: Cidr) => BigInt(c.text.split('/')[1]!))
    .registerFunction('net.CIDR.ip(): net.IP', (c: Cidr) => new IpAddress(c.text.split('/')[0]!));
}
