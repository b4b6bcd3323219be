import { isIP } from 'node:net';
import { label, labelsOf, type Name } from './name';

/** The bytes of an IPv4 or IPv6 address in text form; undefined when it is neither. */
export function addressBytes(text: string): Buffer | undefined {
  switch (isIP(text)) {
    case 4:
      return Buffer.from(text.split('.').map(Number));
    case 6:
      return ipv6Bytes(text.split('%')[0] as string);
    default:
      return undefined;
  }
}

function ipv6Bytes(text: string): Buffer {
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (dotted) {
    const [a = 0, b = 0, c = 0, d = 0] = (dotted[2] as string).split('.').map(Number);
    return ipv6Bytes(`${dotted[1]}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`);
  }
  const [head = '', tail] = text.split('::');
  const groups = (part: string): number[] => (part === '' ? [] : part.split(':').map(group => parseInt(group, 16)));
  const first = groups(head);
  const last = tail === undefined ? [] : groups(tail);
  const all = [...first, ...new Array<number>(8 - first.length - last.length).fill(0), ...last];
  const bytes = Buffer.alloc(16);
  all.forEach((group, i) => bytes.writeUInt16BE(group, i * 2));
  return bytes;
}

/** One spelling for every spelling of an address: its bytes, as a key. */
export function addressKey(text: string): string | undefined {
  return addressBytes(text)?.toString('hex');
}

export const reverseZones = {
  ipv4: `${label('in-addr')}${label('arpa')}\0`,
  ipv6: `${label('ip6')}${label('arpa')}\0`,
};

/** The key of the address that a name in in-addr.arpa or ip6.arpa stands for; undefined when it is no whole address. */
export function reverseKey(name: Name): string | undefined {
  const labels = labelsOf(name);
  const kind = labels.at(-2);
  const digits = labels.slice(0, -2).reverse();
  if (kind === 'in-addr' && digits.length === 4 && digits.every(part => /^(0|[1-9]\d{0,2})$/.test(part)))
    return addressKey(digits.join('.'));
  if (kind === 'ip6' && digits.length === 32 && digits.every(part => /^[0-9a-f]$/.test(part))) return digits.join('');
  return undefined;
}
