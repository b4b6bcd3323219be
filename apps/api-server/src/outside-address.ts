import { networkInterfaces } from 'node:os';

/** The address of a family at which others reach a server that listens on `listen` (HOST:PORT). */
export function outsideAddress(listen: string, family: 'IPv4' | 'IPv6'): string {
  const host = listen.slice(0, listen.lastIndexOf(':'));
  if (!['', '0.0.0.0', '[::]'].includes(host)) return host.replace(/^\[|\]$/g, '');
  const addresses = Object.values(networkInterfaces()).flat();
  const found = addresses.find(
    entry => entry?.family === family && !entry.internal && !entry.address.startsWith('fe80'),
  );
  return found?.address ?? (family === 'IPv4' ? '127.0.0.1' : '::1');
}
