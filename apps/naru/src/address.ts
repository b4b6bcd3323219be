/** The networks of a cluster, and the addresses of its nodes. */
import {
  blockSize,
  blocksOverlap,
  canonicalAddress,
  familyOf,
  formatAddress,
  parseNetwork,
  type IpBlock,
} from '@naru/foundation';

/** Which addresses pods, Services and nodes have; "dual": IPv4 before IPv6. */
export const ipFamilies = ['ipv4', 'ipv6', 'dual'] as const;
export type IpFamilySetting = (typeof ipFamilies)[number];

/** Throws when it is no network or has host bits set. */
export function parseCidr(text: string): IpBlock {
  return parseNetwork(text);
}

/** The address at `offset` in the network. Throws when the network is too small. */
export function addressAt(network: string, offset: number): string {
  const block = parseNetwork(network);
  if (BigInt(offset) >= blockSize(block) - 1n) throw new Error(`Network ${network} has no address number ${offset}`);
  return formatAddress(block.base + BigInt(offset), block.family);
}

/** The address at `offset` in each of the networks, which a comma separates. */
export function addressesAt(networks: string, offset: number): string[] {
  return networks.split(',').map(network => addressAt(network, offset));
}

/** Whether any of the networks, which a comma separates, has addresses of any of the others. */
export function overlaps(first: string, second: string): boolean {
  const others = second.split(',').map(parseNetwork);
  return first.split(',').some(one => others.some(other => blocksOverlap(parseNetwork(one), other)));
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

/** From this length on the first three numbers are the network's. */
const threeNumbers = 24;

/**
 * The unique local IPv6 address that goes with an IPv4 address of the nodes' network, with the same numbers to the eye:
 * fd00:10:95::11 with 10.95.0.11. Clusters beside each other have different ones as their IPv4 networks differ.
 */
export function ipv6Of(address: string, nodeCidr: string): string {
  if (familyOf(address) === 6) return address;
  const [a, b, c, d] = address.split('.');
  const text = parseNetwork(nodeCidr).bits >= threeNumbers ? `fd00:${a}:${b}:${c}::${d}` : `fd00:${a}:${b}::${c}:${d}`;
  return canonicalAddress(text);
}

/** The IPv6 network between the nodes: its length is that of the prefix which `ipv6Of` gives. */
export const ipv6NodeBits = 64;

/** The network of the nodes' IPv6 addresses. */
export function ipv6NodeNetwork(nodeCidr: string): string {
  const prefix = ipv6Of(addressAt(nodeCidr, hostOffset), nodeCidr).replace(/::.*/, '::');
  return `${prefix}/${ipv6NodeBits}`;
}
