import { isIP, isIPv4, isIPv6 } from 'node:net';
import type { Environment } from '@marcbachmann/cel-js';
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

function canonicalIp(text: string): string {
  return isIPv6(text) ? new URL(`http://[${text}]`).hostname.slice(1, -1) : text;
}

/** The network of a CIDR, its host bits zero. */
function masked(text: string): string {
  const [address = '', prefix = '0'] = text.split('/');
  const { bits, width } = ipNumber(address);
  const shift = BigInt(width - Number(prefix));
  const network = (bits >> shift) << shift;
  const part = width === 32 ? 8n : 16n;
  const parts = Array.from({ length: width === 32 ? 4 : 8 }, (_, i) => {
    const value = (network >> (BigInt(width) - part * BigInt(i + 1))) & ((1n << part) - 1n);
    return value.toString(width === 32 ? 10 : 16);
  });
  return `${canonicalIp(parts.join(width === 32 ? '.' : ':'))}/${prefix}`;
}

function ipNumber(text: string): { bits: bigint; width: number } {
  if (isIPv4(text)) return { bits: text.split('.').reduce((sum, part) => (sum << 8n) | BigInt(part), 0n), width: 32 };
  const [head = '', tail] = text.split('::');
  const parts = (side: string): string[] => (side === '' ? [] : side.split(':'));
  const front = parts(head);
  const back = tail === undefined ? [] : parts(tail);
  const zeros = Array<string>(8 - front.length - back.length).fill('0');
  const all = tail === undefined ? front : [...front, ...zeros, ...back];
  return { bits: all.reduce((sum, part) => (sum << 16n) | BigInt(`0x${part}`), 0n), width: 128 };
}

function contains(network: string, address: string): boolean {
  const [base = '', prefix = '0'] = network.split('/');
  const a = ipNumber(base);
  const b = ipNumber(address.split('/')[0]!);
  if (a.width !== b.width || Number(address.split('/')[1] ?? b.width) < Number(prefix)) return false;
  const shift = BigInt(a.width - Number(prefix));
  return a.bits >> shift === b.bits >> shift;
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
        () => canonicalIp(text) === text,
        `IP Address '${text}' parse error during conversion from string`,
      ),
    )
    .registerFunction('string(net.IP): string', ({ text }: IpAddress) => canonicalIp(text))
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
