/** An IPv4 address as a number. @throws Error for anything else. */
export function parseIPv4(text: string): number {
  const parts = text.split('.').map(Number);
  if (parts.length !== 4 || parts.some(part => !Number.isInteger(part) || part < 0 || part > 255))
    throw new Error(`Cannot parse IPv4 address ${text}`);
  return parts.reduce((value, part) => value * 256 + part, 0);
}

export function formatIPv4(value: number): string {
  return [24, 16, 8, 0].map(shift => Math.floor(value / 2 ** shift) % 256).join('.');
}

/** The usable addresses of a block: without the network's and the broadcast address. */
export function parseCidr(text: string): { first: number; last: number } {
  const [address = '', bits = ''] = text.split('/');
  const prefix = Number(bits);
  if (!Number.isInteger(prefix) || bits === '' || prefix < 8 || prefix > 30)
    throw new Error(`Cannot parse CIDR ${text}: want an IPv4 block between /8 and /30`);
  const size = 2 ** (32 - prefix);
  const base = Math.floor(parseIPv4(address) / size) * size;
  return { first: base + 1, last: base + size - 2 };
}
