import { hostname, networkInterfaces } from 'node:os';

/**
 * Who a candidate is in leader election. The port of its health server is its own as long as it lives, so no other
 * process of the machine has the same name, and a restarted one takes its own lease up again at once instead of
 * waiting until the lease of its predecessor expires.
 */
export function candidateIdentity(healthPort: number): string {
  const address = Object.values(networkInterfaces())
    .flat()
    .find(entry => entry && !entry.internal && entry.family === 'IPv4')?.address;
  return [hostname(), address, healthPort].filter(Boolean).join('_');
}
