import os from 'node:os';

/** The IPv4 address at which others reach a server that listens on `listen` (HOST:PORT). */
export function outsideAddress(listen: string): string {
  const host = listen.slice(0, listen.lastIndexOf(':'));
  if (host !== '' && host !== '0.0.0.0' && host !== '[::]') return host;
  const addresses = Object.values(os.networkInterfaces()).flat();
  return addresses.find(address => address?.family === 'IPv4' && !address.internal)?.address ?? '127.0.0.1';
}
