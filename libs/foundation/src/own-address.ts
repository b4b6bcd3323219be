import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { UsageError } from './flags';

export interface Endpoint {
  host: string;
  port: number;
}

/** "0.0.0.0:53" or "[::]:53". Throws UsageError. */
export function parseListen(text: string): Endpoint {
  const match = /^\[?([^[\]]+?)\]?:(\d+)$/.exec(text);
  const [, host = '', port = ''] = match ?? [];
  if (isIP(host) === 0 || Number(port) > 65_535) throw new UsageError(`flag --listen: "${text}" is not IP:PORT`);
  return { host, port: Number(port) };
}

/**
 * The addresses that `host` stands for. A datagram that came to one address must be answered from it, and a socket on the
 * wildcard would answer from whichever is nearest to the client: so there is a socket for each.
 */
export function addressesOf(host: string): string[] {
  if (host !== '0.0.0.0' && host !== '::') return [host];
  const family = host === '::' ? 'IPv6' : 'IPv4';
  return Object.values(networkInterfaces())
    .flatMap(addresses => addresses ?? [])
    .filter(({ family: of, address }) => of === family && !address.startsWith('fe80'))
    .map(({ address }) => address);
}

/** The address at which others reach what listens on `host`. Throws UsageError when there is none. */
export function ownAddress(host: string): string {
  if (host !== '0.0.0.0' && host !== '::') return host;
  const family = host === '::' ? 'IPv6' : 'IPv4';
  const all = Object.values(networkInterfaces()).flatMap(addresses => addresses ?? []);
  const found = all.find(
    address => address.family === family && !address.internal && !address.address.startsWith('fe80'),
  );
  if (!found) throw new UsageError('flag --advertise-address is required: this machine has loopback addresses only');
  return found.address;
}
