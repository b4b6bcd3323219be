import type { IpFamily } from '../desired/ip-family';

/** Who has which address in a lab. */
export interface LabAddresses {
  /** All pods'. */
  readonly clusterCidr: string;
  readonly outside: string;
  /** In the nodes' network: nodes are 11, 12, ..., others free. */
  host(number: number): string;
  /** Whose prefix the nodes' network has. */
  readonly hostBits: number;
  /** Of the pods of the node with this number, from 1. */
  podCidr(node: number): string;
  clusterIp(number: number): string;
  /** Somewhere in the world. */
  readonly foreign: string;
}

export const labAddresses: Readonly<Record<IpFamily, LabAddresses>> = {
  IPv4: {
    clusterCidr: '10.244.0.0/16',
    outside: '192.168.77.1',
    host: number => `192.168.77.${number}`,
    hostBits: 24,
    podCidr: node => `10.244.${node}.0/24`,
    clusterIp: number => `10.96.${number >> 8}.${number & 255}`,
    foreign: '198.51.100.0/24',
  },
  IPv6: {
    clusterCidr: 'fd00:244::/32',
    outside: 'fd00:77::1',
    host: number => `fd00:77::${number}`,
    hostBits: 64,
    podCidr: node => `fd00:244:${node}::/64`,
    clusterIp: number => `fd00:96::${number.toString(16)}`,
    foreign: '2001:db8::/32',
  },
};
